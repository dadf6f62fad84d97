"""From files to declared frames: detect, read, sort good lines from bad, and write a receipt."""

from __future__ import annotations

from shelfwise.ingest.batch import Batch, UsedMapping, read
from shelfwise.ingest.mapping import Proposal, SaidMapping, UnknownTable, headers_hash
from shelfwise.ingest.receipt import FileReceipt, Receipt, Tally
from shelfwise.ingest.rejected_lines import rejected_lines

__all__ = [
    "Batch", "FileReceipt", "Proposal", "Receipt", "SaidMapping", "Tally", "UnknownTable", "UsedMapping",
    "headers_hash", "read", "rejected_lines",
]  # fmt: skip

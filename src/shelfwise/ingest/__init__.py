"""From files to declared frames: detect, read, sort good lines from bad, and write a receipt."""

from __future__ import annotations

from shelfwise.ingest.batch import Batch, read
from shelfwise.ingest.receipt import FileReceipt, Receipt, Tally

__all__ = ["Batch", "FileReceipt", "Receipt", "Tally", "read"]

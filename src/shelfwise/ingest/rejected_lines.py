"""Rejected lines as they stand in their file, for a person to correct and import again.

Only the rejected lines are read a second time. Columns that name data about a person stay out, and so do the cells of
lines that could not be split into fields, because nobody can tell which of them is personal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from shelfwise.ingest import detect
from shelfwise.ingest.archives import LeftAlone
from shelfwise.ingest.mapping import MARK
from shelfwise.ingest.personal import masked_cells
from shelfwise.ingest.tables import LINE, Source, Text, is_personal, load, open_sources

WHY: Final = {name: f"{MARK}{name}" for name in ("line", "column", "value", "reason")}


def rejected_lines(paths: Sequence[Path], rejects: pl.DataFrame) -> list[tuple[str, pl.DataFrame]]:
    """Return, for each file that has any, its rejected lines: its own columns, and why each was rejected.

    Parameters
    ----------
    paths
        The files of the import, as they were given to it.
    rejects
        file, line, column, value, reason.
    """
    wanted = {
        str(name): part for (name,), part in rejects.partition_by("file", as_dict=True, maintain_order=True).items()
    }
    found = []
    for path in paths:
        if not wanted:
            break
        for source in open_sources(path, lambda _: False):
            if isinstance(source, LeftAlone) or source.file not in wanted:
                continue
            own = wanted.pop(source.file)
            found.append((source.file, _with_cells(source, own)))
    return found


def _with_cells(source: Source, rejects: pl.DataFrame) -> pl.DataFrame:
    shown = [header for header in source.headers if not is_personal(header) and not header.startswith(MARK)]
    why = rejects.select(pl.col("line").alias(LINE), *(pl.col(name).alias(title) for name, title in WHY.items()))
    whole = rejects.filter(pl.col("column").is_not_null())["line"].unique().sort()
    if whole.is_empty() or not shown:
        return why.drop(LINE)
    small, lines = _only(source, whole)
    table = load(small, {header: header for header in shown})
    cells = table.frame.with_columns(pl.col(header).cast(pl.String, strict=False) for header in shown)
    if lines is not None:
        cells = cells.with_columns(pl.col(LINE).replace_strict(list(lines), list(lines.values()), default=None))
    cells = cells.join(whole.to_frame(LINE), on=LINE, how="semi").with_columns(masked_cells(pl.col(c)) for c in shown)
    return why.join(cells, on=LINE, how="left", maintain_order="left").select(*shown, *WHY.values())


def _only(source: Source, lines: pl.Series) -> tuple[Source, dict[int, int] | None]:
    """Return a text file cut down to its header and the records on these lines, and where those stand in it now."""
    body = source.body
    if not isinstance(body, Text):
        return source, None
    data = np.frombuffer(body.data, np.uint8)
    breaks = [np.flatnonzero(data[i : i + detect.CHUNK] == 10) + i for i in range(0, len(data), detect.CHUNK)]
    ends = np.append(np.concatenate(breaks), len(data))
    header = int(ends[body.layout.header_line - 1])
    parts, moved, at = [body.data[:header]], {}, body.layout.header_line + 1
    for line in lines.to_list():
        start, last = int(ends[line - 2]) + 1, line
        record = body.data[start : int(ends[last - 1])]
        # A quoted cell may hold line breaks: the record ends where its quotes are closed.
        while record.count(b'"') % 2 and last < len(ends) and last - line < detect.LONGEST_CELL:
            last += 1
            record = body.data[start : int(ends[last - 1])]
        parts.append(record)
        moved[at] = line
        at += last - line + 1
    return replace(source, body=replace(body, data=b"\n".join(parts) + b"\n")), moved

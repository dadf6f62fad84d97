"""Sources that tell of the same goods twice: whoever has booked the sales of one takes none of the other."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import polars as pl

from shelfwise.domain.errors import DataError
from shelfwise.ingest.profiles.rivals import RIVAL_SOURCES


def refuse_rivals(frames: Mapping[str, pl.DataFrame], booked: Callable[[], Collection[str]]) -> None:
    """Refuse sales of a source that another source has told of already.

    Parameters
    ----------
    frames
        Declared frames by name.
    booked
        Gives the sources whose sales are booked; asked only where one of ``frames`` has a rival.

    Raises
    ------
    DataError
        Sales of the other source are booked: each sale would count twice.
    """
    if "movements" not in frames:
        return
    sold = frames["movements"].filter(pl.col("kind") == "sale")["source"].unique().sort()
    rivals = [(source, RIVAL_SOURCES[source]) for source in sold if source in RIVAL_SOURCES]
    known = booked() if rivals else ()
    for source, rival in rivals:
        if rival in known:
            raise DataError(
                f"sales from {rival!r} are booked already, and {source!r} tells of the same goods: each sale would "
                "count twice; go on with the one, or undo its imports (shelfwise imports list) before taking the other"
            )

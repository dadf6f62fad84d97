"""Products packed into one text, as WooCommerce's orders report writes them: ``2× Mug, 1× Tray, oak``."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Final

_MARK: Final = re.compile(r"(?:^|,\s+)(\d+(?:[.,]\d+)?)\s*×\s*")
_PLAIN_MARK: Final = re.compile(r"(?:^|,\s+)(\d+)x\s+")  # where the sign was lost on the way
MOST_CUTS: Final = 10  # beyond it only the plain reading is tried


@dataclass(frozen=True)
class Unpacked:
    """What a text holds: (quantity, product) pairs, or why it cannot be told."""

    items: tuple[tuple[float, str], ...] = ()
    wrong: str | None = None


def plain_name(name: str) -> str:
    """Return a product's name as it is compared: entities are characters, case and spaces do not count.

    >>> plain_name(" Mug &amp; Tray ") == plain_name("mug  & tray")
    True
    """
    return " ".join(html.unescape(name).split()).casefold()


class Names:
    """The products a text may name.

    Parameters
    ----------
    codes
        Product codes by name as `plain_name` returns it; a name of several products has several.
    """

    def __init__(self, codes: Mapping[str, frozenset[str]]) -> None:
        self.codes = codes
        # Only a name that itself holds ", 2× " can be cut in the wrong place.
        self.cuttable = any(len(_MARK.findall(name)) for name in codes)

    def unpack(self, text: str, sold: float | None = None) -> Unpacked:
        """Return what ``text`` holds; ``sold``, the number of items, decides between readings.

        >>> names = Names({"mug": frozenset("A"), "tray, oak": frozenset("B")})
        >>> names.unpack("2× Mug, 1× Tray, oak").items
        ((2.0, 'A'), (1.0, 'B'))
        >>> names.unpack("2× Mug, 1× Tray").wrong
        "names 'Tray', which is no product of the list"
        """
        text = html.unescape(text).strip()
        marks = list(_MARK.finditer(text)) or list(_PLAIN_MARK.finditer(text))
        if not marks or marks[0].start() != 0:
            return Unpacked(wrong="does not begin with a quantity, like 2× Name")
        readings = [self._read(text, chosen) for chosen in self._choices(marks)]
        whole = [reading for reading in readings if reading.wrong is None]
        if len(whole) > 1 and sold is not None:
            whole = [reading for reading in whole if abs(sum(units for units, _ in reading.items) - sold) < 1e-9]
        if len(whole) == 1:
            return whole[0]
        if len(whole) > 1:
            return Unpacked(wrong="can be read in several ways, because a product's name holds a quantity itself")
        return readings[0]

    def _choices(self, marks: list[re.Match[str]]) -> list[list[re.Match[str]]]:
        """Return the ways to cut: at every mark first, then at fewer of them."""
        if not self.cuttable or len(marks) - 1 > MOST_CUTS:
            return [marks]
        rest = marks[1:]
        return [
            [marks[0], *chosen] for count in range(len(rest), -1, -1) for chosen in combinations(rest, count)
        ]  # fmt: skip

    def _read(self, text: str, marks: list[re.Match[str]]) -> Unpacked:
        items = []
        ends = [mark.start() for mark in marks[1:]] + [len(text)]
        for mark, end in zip(marks, ends, strict=True):
            name = text[mark.end() : end].strip().rstrip(",")
            codes = self.codes.get(plain_name(name), frozenset())
            if len(codes) != 1:
                several = (
                    f"names {name!r}, and {len(codes)} products of the list are called so; give them names of their own"
                )
                return Unpacked(wrong=several if codes else f"names {name!r}, which is no product of the list")
            items.append((float(mark.group(1).replace(",", ".")), next(iter(codes))))
        return Unpacked(tuple(items))

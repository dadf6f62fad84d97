"""The sum behind a line of the proposal, as numbers and as the one line of text a planner reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shelfwise.inventory.policies import BaseStock, ReorderPointOrderUpTo, ReorderPointQuantity


@dataclass(frozen=True)
class Arithmetic:
    """The sum behind one line, in units.

    >>> print(Arithmetic(412, 96, 214, 160, pack_size=12, rounded=144))
    412 demand + 96 safety - 214 on hand - 160 due = 134 -> packs of 12 -> 144
    >>> print(Arithmetic(20, -3, 0, 5, minimum=50, rounded=50, top_up=10, stock_known=False))
    20 demand - 3 safety - 0 on hand (not known) - 5 due = 12 -> minimum 50 -> 50 + 10 for the supplier's minimum -> 60
    >>> print(Arithmetic(412, 96, 214, 160, pack_size=12, rounded=144, cut=48))
    412 demand + 96 safety - 214 on hand - 160 due = 134 -> packs of 12 -> 144 - 48 for the budget -> 96
    >>> print(Arithmetic(20, 5, 40, 0))
    20 demand + 5 safety - 40 on hand - 0 due = -15 -> 0

    A policy that orders in lots says so:

    >>> print(Arithmetic(412, 96, 214, 160, pack_size=12, policy="s_q", lot_size=60, rounded=180))
    412 demand + 96 safety - 214 on hand - 160 due = 134 -> lots of 60 -> 180
    >>> print(Arithmetic(412, 96, 214, 160, pack_size=12, policy="s_S", lot_size=60, rounded=204))
    412 demand + 96 safety - 214 on hand - 160 due = 134 -> + 60 lot = 194 -> packs of 12 -> 204
    """

    demand: int
    safety: int
    on_hand: int
    due: int
    pack_size: float = 1.0
    minimum: float = 0.0
    rounded: float = 0.0
    top_up: float = 0.0
    stock_known: bool = True
    policy: str = BaseStock.name
    lot_size: float = 0.0
    cut: float = 0.0

    @classmethod
    def of(cls, line: Mapping[str, Any]) -> Arithmetic:
        """Read the sum from a row of PROPOSAL_LINES."""
        return cls(
            line["demand"], line["safety"], line["on_hand"], line["due"], line["pack_size"],
            line["minimum_order_quantity"], line["rounded"], line["top_up"], line["stock_known"],
            line["policy"], line["lot_size"], line["cut"] or 0.0,
        )  # fmt: skip

    @property
    def net(self) -> int:
        """Return the units needed before packs and minima."""
        return self.demand + self.safety - self.on_hand - self.due

    @property
    def quantity(self) -> float:
        """Return the units to order."""
        return self.rounded + self.top_up - self.cut

    def __str__(self) -> str:
        """Write the sum on one line."""
        safety = f"+ {self.safety} safety" if self.safety >= 0 else f"- {-self.safety} safety"
        unknown = "" if self.stock_known else " (not known)"
        text = f"{self.demand} demand {safety} - {self.on_hand} on hand{unknown} - {self.due} due = {self.net}"
        if self.rounded > 0:
            text += self._steps()
        text += f" -> {_units(self.rounded)}"
        if self.top_up > 0:
            text += f" + {_units(self.top_up)} for the supplier's minimum -> {_units(self.rounded + self.top_up)}"
        if self.cut > 0:
            text += f" - {_units(self.cut)} for the budget -> {_units(self.quantity)}"
        return text

    def _steps(self) -> str:
        if self.policy == ReorderPointQuantity.name:
            return f" -> lots of {_units(self.lot_size)}"
        need = float(self.net)
        text = ""
        if self.policy == ReorderPointOrderUpTo.name:
            need += self.lot_size
            text = f" -> + {_units(self.lot_size)} lot = {_units(need)}"
        steps = []
        if self.minimum > need:
            steps.append(f"minimum {_units(self.minimum)}")
        if self.pack_size != 1:
            steps.append(f"packs of {_units(self.pack_size)}")
        return f"{text} -> {', '.join(steps)}" if steps else text


def _units(value: float) -> str:
    """Write units without needless decimals: ``144``, ``2.5``."""
    return f"{value:.6f}".rstrip("0").rstrip(".")

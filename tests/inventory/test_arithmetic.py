"""The text of a line's sum."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from shelfwise.inventory.arithmetic import Arithmetic

ISSUE = Arithmetic(412, 96, 214, 160, pack_size=12, rounded=144)


def test_the_sum_reads_from_demand_to_order() -> None:
    assert str(ISSUE) == "412 demand + 96 safety - 214 on hand - 160 due = 134 -> packs of 12 -> 144"
    assert (ISSUE.net, ISSUE.quantity) == (134, 144)


def test_packs_of_one_and_a_minimum_that_does_not_bind_are_not_mentioned() -> None:
    assert str(Arithmetic(10, 2, 0, 0, minimum=5, rounded=12)).endswith("= 12 -> 12")


@pytest.mark.parametrize(("pack", "text"), [(0.5, "packs of 0.5"), (2.25, "packs of 2.25"), (100.0, "packs of 100")])
def test_numbers_carry_no_needless_decimals(pack: float, text: str) -> None:
    assert f"-> {text} -> " in str(Arithmetic(10, 0, 0, 0, pack_size=pack, rounded=100))


def test_safety_below_zero_is_subtracted() -> None:
    assert str(Arithmetic(3, -2, 0, 0, rounded=1)).startswith("3 demand - 2 safety - 0 on hand")


def test_it_survives_being_stored_as_plain_values() -> None:
    assert Arithmetic(**asdict(ISSUE)) == ISSUE

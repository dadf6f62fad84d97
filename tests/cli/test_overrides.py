"""The override commands: set, listed, seen in forecast and order, reverted, scored."""

import datetime as dt

import pytest

UNTIL = "2025-01-31"


def line_of(shop) -> dict:
    return next(line for line in shop("order", "--json").data["lines"] if line["quantity"] >= 20)


def test_a_forecast_changed_by_hand_is_listed_seen_and_reverted(shop) -> None:
    product = line_of(shop)["product"]
    before = shop("forecast", "-p", product, "--json").data[0]["mean"]
    said = shop("override", "forecast", product, "-20%", "--until", UNTIL, "--reason", "road works")
    assert said.code == 0
    assert f"forecast of {product}, -20 %" in said.err
    after = shop("forecast", "-p", product, "--json")
    assert after.data[0]["mean"] == pytest.approx(0.8 * before, rel=1e-3)
    assert "road works" in after.err
    (row,) = shop("override", "--json").data
    assert (row["override"], row["change"], row["until"], row["state"]) == (1, "-20 %", UNTIL, "holds")
    assert shop("override", "revert", "1").code == 0
    assert "no override holds" in shop("override", "list").err
    assert shop("override", "list", "--all", "--json").data[0]["state"] == "reverted"
    assert shop("forecast", "-p", product, "--json").data[0]["mean"] == pytest.approx(before)


def test_an_order_override_changes_the_proposal_and_says_why(shop) -> None:
    line = line_of(shop)
    said = shop("override", "order", line["unique_id"], "7", "--reason", "no room", "--until", UNTIL)
    assert said.code == 0
    assert f"{line['unique_id']} orders 7 units now" in said.err
    now = next(one for one in shop("order", "--json").data["lines"] if one["unique_id"] == line["unique_id"])
    assert (now["quantity"], now["proposed"], now["status"]) == (7.0, line["quantity"], "edited")
    assert "changed to 7: override 1: no room" in shop("order").out
    shop("override", "revert", "1")
    assert line_of(shop)["quantity"] == line["quantity"]


def test_a_cap_leaves_a_smaller_proposal_alone(shop) -> None:
    line = line_of(shop)
    said = shop("override", "order", line["unique_id"], "100000", "--at-most", "--reason", "no room")
    assert f"orders {line['quantity']:g} units now" in said.err
    assert "at most 100,000 units until" in said.err
    assert dt.date.fromisoformat(shop("override", "--json").data[0]["until"]) == dt.date(2024, 11, 25)


def test_scores_say_what_cannot_be_scored_yet(shop) -> None:
    shop("override", "forecast", "shop", "+10%", "--until", UNTIL, "--reason", "advent")
    said = shop("override", "score")
    assert said.code == 0
    assert "1 forecast override cannot be scored yet" in said.err
    assert "advent" in said.out
    assert "advent" in shop("override", "score", "--details").out
    document = shop("override", "score", "--json").data
    assert document["summary"][0]["scored"] == 0
    assert document["forecasts"] == []


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["forecast", "shop", "lots", "--until", UNTIL, "--reason", "r"], 2, "+20%, -15%, x1.5 or 12/day"),
        (["forecast", "shop", "+20%", "--reason", "r"], 2, "--until"),
        (["forecast", "shop", "+20%", "--until", UNTIL], 2, "--reason"),
        (["forecast", "category:Tee", "+20%", "--until", UNTIL, "--reason", "r"], 3, "there is no category 'Tee'"),
        (["order", "nothing", "5", "--reason", "r"], 3, "there is no line 'nothing'"),
        (["order", "x", "5", "--at-least", "--at-most", "--reason", "r"], 2, "not both"),
        (["revert", "9"], 3, "there is no override 9"),
    ],
)
def test_an_override_written_wrongly_says_what_is_wrong(shop, arguments, code, words) -> None:
    said = shop("override", *arguments)
    assert said.code == code
    assert words in said.err

"""Products without sales of their own, from the command line."""

import pytest


def test_a_product_like_another_is_made_forecast_and_taken_back(shop) -> None:
    old = max(shop("forecast", "--json").data, key=lambda row: row["mean"])
    said = shop("products", "like", "NEW-1", old["product"], "--times", "0.5", "--new", "--until", "2025-06-30")
    assert said.code == 0
    assert f"history of NEW-1, that of {old['product']} x0.5 until" in said.err
    rows = shop("forecast", "-p", "NEW-1", "--json").data
    (made,) = [row for row in rows if row["warehouse"] == old["warehouse"]]
    assert made["mean"] == pytest.approx(0.5 * old["mean"], rel=0.3)
    assert shop("override", "--json").data[0]["change"] == f"that of {old['product']} x0.5"
    assert shop("override", "revert", "1").code == 0
    assert shop("forecast", "-p", "NEW-1").code == 3


def test_a_bundle_is_made_listed_and_ordered_as_its_components(shop) -> None:
    lines = shop("order", "--json").data["lines"]
    box, part = lines[0]["product"], lines[1]["product"]
    assert "no bundles" in shop("products", "bundle").err
    said = shop("products", "bundle", box, f"{part}=3")
    assert said.code == 0
    assert f"{box} is made of 3 x {part}" in said.err
    assert shop("products", "bundle", "--json").data[0]["quantity"] == 3.0
    assert box not in [line["product"] for line in shop("order", "--json").data["lines"]]
    assert "It is a bundle of 3 x" in shop("why", box).out
    assert "sold in bundles" in shop("why", part).out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["like", "nothing", "nothing else"], 3, "there is no product"),
        (["bundle", "X", "Y"], 2, "give COMPONENT=QTY"),
        (["bundle", "X", "Y=0"], 2, "give COMPONENT=QTY"),
        (["bundle", "X"], 2, "needs components"),
    ],
)
def test_what_is_written_wrongly_says_what_is_wrong(shop, arguments, code, words) -> None:
    said = shop("products", *arguments)
    assert said.code == code
    assert words in said.err

"""What is odd in the product list: damaged and doubled codes, unlisted products, successors that inherit nothing."""

from __future__ import annotations

from typing import Final

import polars as pl

from shelfwise.ingest.checks.identifiers import dead_codes, same_codes, same_names
from shelfwise.services.demand import Demand
from shelfwise.services.findings import Effects, Finding
from shelfwise.services.supply import Supply

ATTRIBUTES: Final = ("name", "category", "brand", "supplier", "unit_cost", "price")
MOSTLY: Final = 0.5
"""From this share of the products that sell on, having any attribute shows that there is a product list."""


def code_findings(effects: Effects, known: Demand, side: Supply) -> list[Finding]:
    """Look at codes and names."""
    table = known.products.select("product", "name", "replaces").join(_spans(known), on="product", how="left")
    dead = dead_codes(table["product"])
    same = same_codes(table["product"]).rename({"code": "product"})
    names = table.filter(~pl.col("product").is_in(same["product"].implode()))
    told = names.filter(pl.col("replaces").is_null())
    follows = same_names(names).join(told.select(new="product"), on="new", how="semi")
    return [
        *effects.found(
            "dead-codes", "problem", table.filter(pl.col("product").is_in(dead.implode())).drop("replaces"),
            "{has} a code that a spreadsheet turned into a number: its digits are lost, and others may share it",
            "export again with codes as text, then `shelfwise imports undo NUMBER` the damaged one",
        ),
        *effects.found(
            "same-codes", "problem", same.join(table.drop("replaces"), on="product", how="left", maintain_order="left"),
            "{has} a code that differs from another by case, spaces or leading zeros alone: one history in pieces",
            "write it one way and import again; where one code ended when the other began: `shelfwise check --fix-list "
            "same-codes > products.csv`, leave the right lines, `shelfwise import products.csv`",
        ),
        *effects.found(
            "same-names", "note", follows.rename({"new": "product"}),
            "{goes} on under another code, it seems: the same name, begun when the other ended",
            "let the new one take over the history: `shelfwise check --fix-list same-names > products.csv`, leave the "
            "right lines, `shelfwise import products.csv`",
        ),
        *_unlisted(effects, known, side),
    ]  # fmt: skip


def _spans(known: Demand) -> pl.DataFrame:
    """Return the first and last day on which each product itself sold."""
    series = known.panel.series.select("product", "first_sale", "last_sale")
    return series.group_by("product").agg(pl.col("first_sale").min(), pl.col("last_sale").max())


def _unlisted(effects: Effects, known: Demand, side: Supply) -> list[Finding]:
    """Look for products that sell, or lie there, and of which nothing is known although there is a product list."""
    bare = known.products.filter(pl.all_horizontal(pl.col(ATTRIBUTES).is_null())).select("product")
    live = known.panel.series.filter("live")
    selling = live.join(bare, on="product", how="semi")
    if live.is_empty() or selling.height > MOSTLY * live.height:
        return []
    sold = known.panel.series.select("product").unique()
    lying = side.stock.filter(pl.col("on_hand") != 0).join(bare, on="product", how="semi")
    lying = lying.join(sold, on="product", how="anti").select("product", "warehouse", "on_hand")
    return [
        *effects.found(
            "unlisted-sales", "problem", selling.select("product").unique(maintain_order=True),
            "{sells} and {is} in no product list: no supplier, no cost, no category",
            "fill in and import: `shelfwise check --fix-list unlisted-sales > products.csv`, `shelfwise import "
            "products.csv`",
        ),
        *effects.found(
            "unlisted-stock", "note", lying,
            "{has} stock and {is} known from nothing else: a code written in another way?",
            "compare the codes of the stock file with those of the sales",
        ),
    ]  # fmt: skip


def successor_findings(effects: Effects, known: Demand) -> list[Finding]:
    """Look for successors that inherit nothing, go round in a circle, or have left the old one on sale."""
    table = known.products.select("product", "name", "replaces", "launched_on")
    heirs = table.filter(pl.col("replaces").is_not_null())
    if heirs.is_empty():
        return []
    parents: dict[str, str] = dict(heirs.select("product", "replaces").iter_rows())
    round_ = [code for code in parents if _in_circle(code, parents)]
    spans = _spans(known)
    live = known.panel.series.filter(pl.col("live") & pl.col("discontinued_on").is_null())
    here = (pl.col("launched_on") <= known.planning_day).fill_null(value=True)
    planned = (
        heirs.filter(here & ~pl.col("product").is_in(round_))
        .select(heir="product", product="replaces")
        .join(live.select("product", "name").unique(), on="product")
        .join(live.select(heir="product").unique(), on="heir")
        .select("product", "name", replaced_by="heir")
    )
    lost = heirs.filter(~pl.col("product").is_in(round_)).join(
        spans.select(replaces="product"), on="replaces", how="anti"
    )
    return [
        *effects.found(
            "circular-successors", "problem", heirs.filter(pl.col("product").is_in(round_)).drop("launched_on"),
            "{replaces} one another in a circle: nobody can be the first",
            "`shelfwise products edit PRODUCT --replaces ''` takes back what is wrong",
        ),
        *effects.found(
            "lost-predecessors", "problem", lost.drop("launched_on"),
            "{replaces} a product that never sold: nothing is inherited; is its code written in another way?",
            "`shelfwise products edit PRODUCT --replaces CODE` with the code it sold under, or --replaces '' for none",
        ),
        *effects.found(
            "replaced-yet-planned", "note", planned.sort("product"),
            "{is} replaced and still planned beside {its} successor",
            "where it is over, give its last day: `shelfwise check --fix-list replaced-yet-planned > products.csv`, "
            "`shelfwise import products.csv`",
        ),
    ]  # fmt: skip


def _in_circle(code: str, parents: dict[str, str]) -> bool:
    """Say whether going back from a product leads to itself."""
    seen, at = set[str](), parents.get(code)
    while at is not None and at not in seen:
        if at == code:
            return True
        seen.add(at)
        at = parents.get(at)
    return False

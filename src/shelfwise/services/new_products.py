"""What a person says about products that have no history of their own: a similar one to copy, parts to be made of."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Final

import polars as pl

from shelfwise.app import App
from shelfwise.domain.errors import ParameterError
from shelfwise.domain.events import OverrideChanged
from shelfwise.domain.frames import BUNDLES, PRODUCTS
from shelfwise.services.decisions import decider
from shelfwise.services.inheriting import HISTORY
from shelfwise.services.names import product_code
from shelfwise.storage import bundles, catalogue, outbox, overrides
from shelfwise.storage.overrides import Override

LARGEST_MULTIPLIER: Final = 100.0
COPIED: Final = ("category", "brand", "supplier", "unit_cost", "price", "pack_size", "minimum_order_quantity")
"""What a product made as a copy takes over from the catalogue."""


def set_like(
    app: App,
    new: str,
    old: str,
    *,
    times: float = 1.0,
    until: dt.date | None = None,
    launch: dt.date | None = None,
    create: bool = False,
    reason: str | None = None,
) -> Override:
    """Let a new product copy the history of a similar one; `inheriting` says how it fades.

    Parameters
    ----------
    times
        Its demand over the other's.
    until
        Last day on which the copy counts; None leaves it to fade.
    launch
        First day on sale; kept in the catalogue.
    create
        Make the product where there is none of that code, with the other's category, supplier, cost, price and packs.
    reason
        None says which product it is like.

    Raises
    ------
    NotFound
        A product is not in the store.
    ParameterError
        The multiplier is out of range, or the two are one product.
    """
    if not 0 < times <= LARGEST_MULTIPLIER:
        raise ParameterError(f"a multiplier must be above 0 and at most {LARGEST_MULTIPLIER:g}, got {times:g}")
    now, who = app.now(), decider()
    with app.database.write() as connection:
        table = catalogue.products(connection)
        source = product_code(table, old)
        made = create and new not in table["product"]
        code = new if made else product_code(table, new)
        if code == source:
            raise ParameterError(f"{code} cannot be like itself; name another product")
        if made or launch is not None:
            copied = table.filter(pl.col("product") == source).select(COPIED).to_dicts()[0] if made else {}
            row = {"product": code, **copied, "launched_on": launch}
            catalogue.upsert_products(connection, PRODUCTS.check(pl.DataFrame([row])))
        for before in overrides.standing_overrides(connection, dt.date.min, HISTORY):
            if before.scope == code:  # the later word holds
                overrides.revert_override(connection, before.id, reverted_by=who, reverted_at=now)
        value = {"like": source, "times": times}
        told = reason or f"{code} is new and like {source}"
        number = overrides.add_override(
            connection,
            setting=HISTORY,
            value=value,
            scope_kind="product",
            scope=code,
            reason=told,
            expires_on=until,
            created_by=who,
            created_at=now,
        )
        outbox.append(connection, now, OverrideChanged(number, "set"))
    return Override(number, HISTORY, value, "product", code, told, None, until, who, now)


def set_bundle(app: App, bundle: str, components: Mapping[str, float]) -> str:
    """Say what a product that is sold as one is made of; return its code. What it was made of before counts no more.

    Parameters
    ----------
    components
        Units in one bundle, by product.

    Raises
    ------
    NotFound
        A component, or a bundle that never sold, is not in the store.
    ParameterError
        No component is given, or none of one.
    DataError
        The bundle would be made of itself.
    """
    if not components:
        raise ParameterError(f"{bundle} needs components; give them with their units, like TEA-100=2")
    for name, units in components.items():
        if not 0 < units < float("inf"):
            raise ParameterError(f"a bundle holds more than none of a component, got {units:g} of {name}")
    with app.database.write() as connection:
        table = catalogue.products(connection)
        code = product_code(table, bundle)
        rows = [
            {"bundle": code, "component": product_code(table, name), "quantity": float(units)}
            for name, units in components.items()
        ]
        bundles.set_bundles(connection, BUNDLES.check(pl.DataFrame(rows)))
    return code


def bundle_list(app: App) -> pl.DataFrame:
    """Return BUNDLES with the names of both, as they were given."""
    with app.database.read() as connection:
        made = bundles.bundles(connection)
        names = catalogue.products(connection).select("product", "name")
    return made.join(names, left_on="bundle", right_on="product", how="left", maintain_order="left").join(
        names.rename({"name": "component_name"}),
        left_on="component",
        right_on="product",
        how="left",
        maintain_order="left",
    )

"""A small planned shop with the names that the examples of the interface use."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from shelfwise.app import App, open_app
from shelfwise.domain import frames
from shelfwise.services import backtests, importing, planning

DAYS = 140
QUICK: dict[str, Any] = {
    "model": "base_level", "n_paths": 50, "horizon": 21, "inference_processes": 1, "embedded_worker": False,
    "rate_limit_viewer": 0, "rate_limit_planner": 0, "rate_limit_admin": 0, "rate_limit_service": 0,
    "rate_limit_address": 0, "inventory_sync_url": "http://127.0.0.1:9/api",
}  # fmt: skip


def open_quick(path: Path) -> App:
    return open_app(path, folder=path.parent, backup_folder=path.parent / "backups", **QUICK)


def fill(app: App) -> None:
    """Six products in two warehouses with sales until yesterday, stock, suppliers and orders; planned and scored."""
    today = app.today()
    rng = np.random.default_rng(7)
    tables: dict[str, list[dict[str, Any]]] = {
        "suppliers": [
            {"supplier": "S-BRIN", "name": "Brindlewick Roastery", "lead_time_days": 5.0, "review_days": 7.0},
            {
                "supplier": "S-OKKE",
                "name": "Okkerdal Paper & Clay",
                "lead_time_days": 14.0,
                "minimum_order_value": 50.0,
            },
        ],
        "warehouses": [{"warehouse": "SHOP", "name": "Shop floor"}, {"warehouse": "WEB"}],
        "products": [_product(n, code) for n, code in enumerate(CODES)],
        "movements": [],
        "stock_levels": [],
        "purchase_order_lines": [
            _order("PO-000128", "CF-1033", today - dt.timedelta(days=3), "sent"),
            _order("PO-000129", "CF-1007", None, "draft"),
        ],
    }
    for n, code in enumerate(CODES):
        for place in ("SHOP", "WEB"):
            sold = rng.poisson(0.5 + n, DAYS)
            first = today - dt.timedelta(days=DAYS)
            tables["movements"] += [
                _sale(code, place, first + dt.timedelta(days=d), int(u)) for d, u in enumerate(sold) if u
            ]
            level = {
                "product": code,
                "warehouse": place,
                "on_hand": float(12 * n),
                "as_of": dt.datetime.combine(today, dt.time()),
            }
            tables["stock_levels"].append(level)
    checked = {
        name: frames.ALL_FRAMES[name].check(pl.DataFrame(rows, infer_schema_length=None))
        for name, rows in tables.items()
    }
    importing.book(app, checked, file_name="till.csv", fingerprint="world", profile="test", receipt={})
    planning.make_plan(app)
    backtests.run(app, models=["base_level"], horizon=7, cutoffs=1)


CODES = ("GR-1021", "CF-1007", "CF-1033", "CF-1044", "TE-2001", "SY/13 é")


def _product(n: int, code: str) -> dict[str, Any]:
    return {
        "product": code, "name": f"Product <{n}> & co", "category": "Grinders" if code.startswith("GR") else "Coffee",
        "supplier": "S-BRIN" if n % 2 else "S-OKKE", "unit_cost": None if code == "TE-2001" else 4.0 + n,
        "price": 9.99 + n, "pack_size": 6.0,
    }  # fmt: skip


def _order(number: str, product: str, ordered_on: dt.date | None, status: str) -> dict[str, Any]:
    return {
        "purchase_order": number, "supplier": "S-BRIN", "product": product, "warehouse": "WEB", "quantity": 12.0,
        "quantity_received": 0.0, "unit_cost": 5.0, "ordered_on": ordered_on, "expected_on": None, "status": status,
    }  # fmt: skip


def _sale(product: str, warehouse: str, day: dt.date, units: int) -> dict[str, Any]:
    return {
        "source": "test", "line_id": f"{product}-{warehouse}-{day}", "kind": "sale",
        "occurred_at": dt.datetime.combine(day, dt.time(12)), "product": product, "warehouse": warehouse,
        "quantity": float(units), "unit_price": 9.99,
    }  # fmt: skip

"""Every table, declared once; the migrations build the same schema and a test compares the two.

Three choices hold for all of them:

* **Moments and days are integers** (`Moment`: microseconds, `Day`: days, both since 1970-01-01 in shop time, without a
  zone). Each database stores and compares them alike, they take 2 to 8 bytes where SQLite's text takes 26, and a column
  of a million of them is read without parsing.
* **Units and money are double precision**, like the arrays and frames they come from and go to. The store keeps unit
  prices and quantities, it is no ledger: nothing here is summed to the cent.
* **Codes are text of at most 255 characters**, so that each may be a key in PostgreSQL and MySQL too. Rows refer to
  each other by integer keys, which never leave this package.
"""

from __future__ import annotations

from shelfwise.storage.tables.access import (
    api_tokens,
    audit_log,
    idempotency_keys,
    sessions,
    sign_in_links,
    signing_keys,
    users,
)
from shelfwise.storage.tables.exchange import (
    connector_feeds,
    connector_refusals,
    connector_runs,
    connectors,
    stockout_alerts,
    webhook_deliveries,
    webhooks,
)
from shelfwise.storage.tables.models import model_aliases, model_deployments, model_scores, model_versions
from shelfwise.storage.tables.plans import (
    backtest_parts,
    backtest_runs,
    decisions,
    fitted_models,
    forecast_archive,
    live_forecasts,
    live_publications,
    overrides,
    plan_runs,
    recommendations,
    scenarios,
)
from shelfwise.storage.tables.schema import CODE_LENGTH, Day, Instant, Moment, metadata
from shelfwise.storage.tables.shop import (
    bundle_components,
    calendar_events,
    correction_lines,
    corrections,
    import_mappings,
    import_parts,
    imports,
    movement_notes,
    prices,
    products,
    purchase_order_lines,
    purchase_order_receipts,
    purchase_orders,
    sources,
    stock_levels,
    stock_movements,
    stock_snapshots,
    suppliers,
    warehouses,
)
from shelfwise.storage.tables.work import event_bus_counts, jobs, leases, outbox, outbox_readers, schedule, workers

__all__ = [
    "CODE_LENGTH",
    "Day",
    "Instant",
    "Moment",
    "api_tokens",
    "audit_log",
    "backtest_parts",
    "backtest_runs",
    "bundle_components",
    "calendar_events",
    "connector_feeds",
    "connector_refusals",
    "connector_runs",
    "connectors",
    "correction_lines",
    "corrections",
    "decisions",
    "event_bus_counts",
    "fitted_models",
    "forecast_archive",
    "idempotency_keys",
    "import_mappings",
    "import_parts",
    "imports",
    "jobs",
    "leases",
    "live_forecasts",
    "live_publications",
    "metadata",
    "model_aliases",
    "model_deployments",
    "model_scores",
    "model_versions",
    "movement_notes",
    "outbox",
    "outbox_readers",
    "overrides",
    "plan_runs",
    "prices",
    "products",
    "purchase_order_lines",
    "purchase_order_receipts",
    "purchase_orders",
    "recommendations",
    "scenarios",
    "schedule",
    "sessions",
    "sign_in_links",
    "signing_keys",
    "sources",
    "stock_levels",
    "stock_movements",
    "stock_snapshots",
    "stockout_alerts",
    "suppliers",
    "users",
    "warehouses",
    "webhook_deliveries",
    "webhooks",
    "workers",
]

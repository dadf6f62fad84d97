"""The routes, one file for each thing they are about; each file has one ``router``, listed here."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter

from shelfwise.api.routes import (
    access,
    backtests,
    backups,
    bulk_predictions,
    connectors,
    demand_predictions,
    forecast,
    health,
    imports,
    insights,
    inventory,
    jobs,
    metrics,
    models,
    movements,
    order_predictions,
    order_proposals,
    overrides,
    patterns,
    predict,
    products,
    products_model,
    purchase_orders,
    risks,
    scenarios,
    stockout_predictions,
    webhooks,
)

ROUTERS: Final[tuple[APIRouter, ...]] = (
    health.router,
    access.router,
    inventory.router,
    movements.router,
    metrics.router,
    predict.router,
    forecast.router,
    bulk_predictions.router,  # before those that take the same paths, one question at a time
    demand_predictions.router,
    stockout_predictions.router,
    order_predictions.router,
    models.router,
    products.router,
    products_model.router,
    order_proposals.router,
    purchase_orders.router,
    imports.router,
    scenarios.router,
    risks.router,
    patterns.router,
    overrides.router,
    backtests.router,
    jobs.router,
    backups.router,
    webhooks.router,
    connectors.router,
    insights.router,
)

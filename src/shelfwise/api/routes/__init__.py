"""The routes, one file for each thing they are about; each file has one ``router``, listed here."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter

from shelfwise.api.routes import (
    access,
    backtests,
    demand_predictions,
    forecast,
    health,
    imports,
    insights,
    inventory,
    jobs,
    metrics,
    movements,
    order_proposals,
    overrides,
    patterns,
    predict,
    products,
    purchase_orders,
    risks,
    scenarios,
)

ROUTERS: Final[tuple[APIRouter, ...]] = (
    health.router,
    access.router,
    inventory.router,
    movements.router,
    metrics.router,
    predict.router,
    products.router,
    order_proposals.router,
    purchase_orders.router,
    imports.router,
    scenarios.router,
    risks.router,
    patterns.router,
    overrides.router,
    backtests.router,
    jobs.router,
    insights.router,
)

"""The routes, one file for each thing they are about; each file has one ``router``, listed here."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter

from shelfwise.api.routes import health, inventory, metrics, predict, products

ROUTERS: Final[tuple[APIRouter, ...]] = (
    health.router,
    inventory.router,
    metrics.router,
    predict.router,
    products.router,
)

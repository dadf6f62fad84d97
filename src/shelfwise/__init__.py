"""Shelfwise reads a shop's sales and stock and tells it what will sell, what to order, what will run out, and why.

The public names below load on first use, so that ``import shelfwise`` and ``shelfwise --help`` stay quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from shelfwise.domain.errors import ShelfwiseError
    from shelfwise.domain.forecast import Forecast
    from shelfwise.domain.panel import Panel
    from shelfwise.library import (
        OrderDecision,
        OrderPlan,
        Replay,
        Store,
        TunedOrders,
        Tuning,
        backtest,
        explain,
        forecast,
        lifts,
        optimise,
        plan_orders,
        replay,
        tune_orders,
    )

__version__ = "0.1.0"

__all__ = [
    "Forecast",
    "OrderDecision",
    "OrderPlan",
    "Panel",
    "Replay",
    "ShelfwiseError",
    "Store",
    "TunedOrders",
    "Tuning",
    "__version__",
    "backtest",
    "explain",
    "forecast",
    "lifts",
    "optimise",
    "plan_orders",
    "replay",
    "tune_orders",
]

_HOME: Final = {
    "Forecast": "shelfwise.domain.forecast",
    "OrderDecision": "shelfwise.library",
    "OrderPlan": "shelfwise.library",
    "Panel": "shelfwise.domain.panel",
    "Replay": "shelfwise.library",
    "ShelfwiseError": "shelfwise.domain.errors",
    "Store": "shelfwise.library",
    "TunedOrders": "shelfwise.library",
    "Tuning": "shelfwise.library",
    "backtest": "shelfwise.library",
    "explain": "shelfwise.library",
    "forecast": "shelfwise.library",
    "lifts": "shelfwise.library",
    "optimise": "shelfwise.library",
    "plan_orders": "shelfwise.library",
    "replay": "shelfwise.library",
    "tune_orders": "shelfwise.library",
}


def __getattr__(name: str) -> Any:
    """Load a public name from its module on first use."""
    if name not in _HOME:
        raise AttributeError(f"module 'shelfwise' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    """List the public names."""
    return sorted(__all__)

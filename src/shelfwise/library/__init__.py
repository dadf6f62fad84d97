"""The Python door: forecasts and backtests of your own frames, and the store from a notebook.

Frames go in and frames come out; nothing here needs a database, except `Store`, whose services load when it is asked
for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shelfwise.inventory.optimise import OrderDecision as OrderDecision
from shelfwise.inventory.optimise import optimise as optimise
from shelfwise.inventory.order_inputs import Tuning as Tuning
from shelfwise.inventory.plan_orders import OrderPlan as OrderPlan
from shelfwise.inventory.plan_orders import plan_orders as plan_orders
from shelfwise.inventory.replay_scores import Replay as Replay
from shelfwise.library.forecasts import backtest as backtest
from shelfwise.library.forecasts import explain as explain
from shelfwise.library.forecasts import forecast as forecast
from shelfwise.library.forecasts import lifts as lifts
from shelfwise.library.replays import replay as replay
from shelfwise.library.replays import tune_orders as tune_orders
from shelfwise.services.order_tuning import TunedOrders as TunedOrders
from shelfwise.services.what_if_questions import LeadTimeChange as LeadTimeChange
from shelfwise.services.what_if_questions import Price as Price
from shelfwise.services.what_if_questions import Promotion as Promotion

if TYPE_CHECKING:
    from shelfwise.library.store import Store as Store


def __getattr__(name: str) -> Any:
    """Load the store on first use."""
    if name == "Store":
        from shelfwise.library.store import Store

        return Store
    raise AttributeError(f"module 'shelfwise.library' has no attribute {name!r}")

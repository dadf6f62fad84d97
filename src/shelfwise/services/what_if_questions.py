"""What a what-if asks: its edits in the shop's own words, days and codes, and how large an effect the model knows."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import polars as pl

from shelfwise.app import App
from shelfwise.domain import words
from shelfwise.domain.errors import ParameterError
from shelfwise.forecasting.lifts import PRICE_STEP
from shelfwise.inventory.what_if import EVERYTHING, LARGEST_FACTOR
from shelfwise.inventory.what_if import LeadTimeChange as LeadTimeChange
from shelfwise.services.budgeting import ALL_SUPPLIERS
from shelfwise.services.names import supplier_code
from shelfwise.services.overrides import find_scope
from shelfwise.services.planning import Plan
from shelfwise.storage import catalogue

ALL: Final = EVERYTHING[0]


def _check_factor(what: str, factor: float) -> None:
    if not (np.isfinite(factor) and 0 < factor <= LARGEST_FACTOR):
        raise ParameterError(f"{what} must be a factor above 0 and at most {LARGEST_FACTOR:g}, got {factor:g}; like "
                             "1.1, or +10% on the command line")  # fmt: skip


@dataclass(frozen=True)
class Promotion:
    """A promotion of a scope on some days; without a factor on demand the model's own lift is taken."""

    scope: str
    first: dt.date
    last: dt.date
    factor: float | None = None

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise ParameterError(f"a promotion cannot end before it begins, got {self.first} to {self.last}")
        if self.factor is not None:
            _check_factor(f"the lift of a promotion ({self.scope})", self.factor)


@dataclass(frozen=True)
class Price:
    """A price of a scope times a factor; without a factor on demand an elasticity or the model's own lift is taken."""

    scope: str
    factor: float
    demand: float | None = None

    def __post_init__(self) -> None:
        _check_factor(f"a price ({self.scope})", self.factor)
        if self.demand is not None:
            _check_factor(f"demand at the new price ({self.scope})", self.demand)


@dataclass(frozen=True)
class Question:
    """What is asked.

    Scopes are ``all``, a product, ``product@warehouse``, or like ``category:Tea``, ``warehouse:North``.

    Parameters
    ----------
    demand
        Factors on demand by scope.
    lead_time
        Changes of lead times, days, by supplier or ``all``; they are about orders from now on.
    closed
        Last day on which a supplier is closed: it takes no orders, and nothing comes from it.
    budget
        Money by supplier or ``all``.
    service_level
        Fraction.
    promotions, prices
        What they do to demand is given, or known to the model.
    elasticity
        Of prices without a factor on demand: demand goes as price to this power.

    >>> Question(service_level=1.0)
    Traceback (most recent call last):
    ...
    shelfwise.domain.errors.ParameterError: service_level must be above 0 and below 1, got 1; for example 0.95
    """

    demand: Mapping[str, float] = field(default_factory=dict)
    lead_time: Mapping[str, LeadTimeChange] = field(default_factory=dict)
    closed: Mapping[str, dt.date] = field(default_factory=dict)
    budget: Mapping[str, float] = field(default_factory=dict)
    service_level: float | None = None
    promotions: tuple[Promotion, ...] = ()
    prices: tuple[Price, ...] = ()
    elasticity: float | None = None

    def __post_init__(self) -> None:
        for scope, factor in self.demand.items():
            _check_factor(f"a change of demand ({scope})", factor)
        if self.service_level is not None and not 0 < self.service_level < 1:
            raise ParameterError(
                f"service_level must be above 0 and below 1, got {self.service_level:g}; for example 0.95"
            )
        for name, money in self.budget.items():
            if not (np.isfinite(money) and money >= 0):
                raise ParameterError(f"a budget must be zero or more, got {money:g} for {name}")
        if self.elasticity is not None and not (np.isfinite(self.elasticity) and self.elasticity <= 0):
            raise ParameterError(
                f"elasticity must be zero or less (a higher price sells no more), got {self.elasticity:g}; like -1.5"
            )

    @property
    def is_empty(self) -> bool:
        """Whether nothing is asked."""
        return not (self.demand or self.lead_time or self.closed or self.budget or self.promotions or self.prices) and (
            self.service_level is None
        )

    def to_json(self) -> dict[str, Any]:
        """Return the question as plain values.

        >>> Question(demand={"all": 1.1}).to_json()["demand"]
        {'all': 1.1}
        """
        return {
            "demand": dict(self.demand),
            "lead_time": {code: {"added": one.added, "factor": one.factor} for code, one in self.lead_time.items()},
            "closed": {code: day.isoformat() for code, day in self.closed.items()},
            "budget": dict(self.budget),
            "service_level": self.service_level,
            "promotions": [
                {"scope": one.scope, "first": one.first.isoformat(), "last": one.last.isoformat(), "factor": one.factor}
                for one in self.promotions
            ],
            "prices": [{"scope": one.scope, "factor": one.factor, "demand": one.demand} for one in self.prices],
            "elasticity": self.elasticity,
        }

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Question:
        """Read what `to_json` wrote."""
        day = dt.date.fromisoformat
        return cls(
            demand=kept["demand"],
            lead_time={code: LeadTimeChange(code, **one) for code, one in kept["lead_time"].items()},
            closed={code: day(text) for code, text in kept["closed"].items()},
            budget=kept["budget"],
            service_level=kept["service_level"],
            promotions=tuple(
                Promotion(one["scope"], day(one["first"]), day(one["last"]), one["factor"])
                for one in kept["promotions"]
            ),
            prices=tuple(Price(**one) for one in kept["prices"]),
            elasticity=kept["elasticity"],
        )


def resolved(app: App, question: Question, plan: Plan) -> Question:
    """Return the question with codes in place of names.

    Raises
    ------
    NotFound
        It names something that is not in the store.
    ParameterError
        A supplier would be closed until a day that is over.
    """
    with app.database.read() as connection:
        suppliers = catalogue.suppliers(connection)

    def scope(wanted: str) -> str:
        if wanted.casefold() in EVERYTHING:
            return ALL
        found = find_scope(app, wanted)
        return ALL if found.code is None else f"{found.kind}:{found.code}"

    def supplier(wanted: str) -> str:
        return ALL if wanted.casefold() in EVERYTHING else supplier_code(suppliers, wanted)

    for name, until in question.closed.items():
        if until < plan.as_of:
            raise ParameterError(
                f"{name} cannot be closed until {until}; the plan is of {plan.as_of}, name a later day"
            )
    closed: dict[str, dt.date] = {}
    for name, until in question.closed.items():
        codes = suppliers["supplier"].to_list() if supplier(name) == ALL else [supplier(name)]
        closed |= dict.fromkeys(codes, until)
    return replace(
        question,
        demand={scope(name): factor for name, factor in question.demand.items()},
        lead_time={supplier(name): replace(one, scope=supplier(name)) for name, one in question.lead_time.items()},
        closed=closed,
        budget={ALL_SUPPLIERS if supplier(name) == ALL else supplier(name): m for name, m in question.budget.items()},
        promotions=tuple(replace(one, scope=scope(one.scope)) for one in question.promotions),
        prices=tuple(replace(one, scope=scope(one.scope)) for one in question.prices),
    )


def lift_of(promotion: Promotion, known: pl.DataFrame | None, category: str | None) -> float:
    """Return the factor of a promotion on demand: as given, else what the model expects in the category or at all."""
    if promotion.factor is not None:
        return promotion.factor
    found = _known_lift(known, "promotion", category)
    if found is None:
        raise ParameterError(
            f"nothing is known of what a promotion of {promotion.scope} does to demand; give a factor, like "
            f"--promotion {promotion.scope}=1.5@{promotion.first}..{promotion.last}"
        )
    return found


def elasticity_of(price: Price, question: Question, known: pl.DataFrame | None, category: str | None) -> float:
    """Return the power with which demand follows a price: as given, else what the model expects of a tenth more or
    less.
    """
    if question.elasticity is not None:
        return question.elasticity
    if price.factor == 1:
        return 0.0
    step = 1 - PRICE_STEP if price.factor < 1 else 1 + PRICE_STEP
    found = _known_lift(known, "price", category, ending="down" if price.factor < 1 else "up")
    if found is None:
        raise ParameterError(
            f"nothing is known of what a price of {price.scope} does to demand; give --elasticity, like -1.5, or the "
            f"demand itself, like --price {price.scope}={100 * (price.factor - 1):+.0f}%,+20%"
        )
    return min(float(np.log(max(found, 1e-6)) / np.log(step)), 0.0)


def _known_lift(known: pl.DataFrame | None, kind: str, category: str | None, ending: str = "") -> float | None:
    """Return the forecast's lift in a category, or of all; None where the model knows none."""
    if known is None:
        return None
    rows = known.filter(
        (pl.col("kind") == kind) & pl.col("name").str.ends_with(ending) & pl.col("forecast_lift").is_not_null()
    ).sort("periods", descending=True)
    for wanted in (pl.col("category") == category, pl.col("category").is_null()):
        found = rows.filter(wanted)
        if found.height:
            return float(found["forecast_lift"][0])
    return None


def in_words(question: Question, currency: str) -> tuple[str, ...]:
    """Say what a question asks, an edit each.

    >>> in_words(Question(demand={"all": 1.1}, budget={"all": 5000.0}, service_level=0.97), "EUR")
    ('demand +10 %', 'a budget of EUR 5,000', 'service level 97 %')
    """
    said = [f"demand{_of(scope)} {_change(factor)}" for scope, factor in question.demand.items()]
    for code, one in question.lead_time.items():
        parts = [f"{one.added:+g} days"] if one.added else []
        parts += [f"x{one.factor:g}"] if one.factor != 1 else []
        said.append(f"lead time{_of(code)} {' and '.join(parts) or 'as it is'}")
    said += [f"{code} closed until {words.day(until)}" for code, until in question.closed.items()]
    for code, money in question.budget.items():
        said.append(f"a budget of {words.money(money, currency)}{'' if code in EVERYTHING else f' at {code}'}")
    if question.service_level is not None:
        said.append(f"service level {100 * question.service_level:.4g} %")
    for promotion in question.promotions:
        lift = "" if promotion.factor is None else f", demand {_change(promotion.factor)}"
        days = f"from {words.day(promotion.first)} to {words.day(promotion.last)}"
        said.append(f"a promotion{_of(promotion.scope)} {days}{lift}")
    for price in question.prices:
        lift = "" if price.demand is None else f", demand {_change(price.demand)}"
        said.append(f"price{_of(price.scope)} {_change(price.factor)}{lift}")
    return tuple(said)


def _of(scope: str) -> str:
    if scope in EVERYTHING:
        return ""
    kind, colon, code = scope.partition(":")
    return f" of {code}" if colon and kind in ("product", "line") else f" of {kind} {code}" if colon else f" of {scope}"


def _change(factor: float) -> str:
    return f"{100 * (factor - 1):+.3g} %" if factor <= 2 else f"x{factor:g}"

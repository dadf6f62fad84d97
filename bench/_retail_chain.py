"""A made-up retail chain of the size of the M5 data: 30,490 series of 1,941 days, prices, events, five attributes.

3,049 items in 7 departments of 3 categories, 10 stores in 3 states. What real chains show is in it: levels from one
sale a month to a hundred a day, most days without a sale, drifting levels, weekday and yearly shapes that differ by
department, launches, items off the shelf for weeks, price cuts, named events with lead-up, days on which a state pays
benefits, one closed day a year, and shocks that hit a store's whole category on a day, so that errors of sums do not
cancel. Constants are made up; only size, mean (1.1 a day) and share of zeros (near 68 %) are set after the M5 data.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from shelfwise.domain.panel import Panel

Floats = npt.NDArray[np.float32]

START = dt.date(2017, 1, 30)  # a Monday
DAYS, HORIZON, ITEMS = 1941, 28, 3049
VERSION = 2  # of what is made: raised when the same seed makes another chain
KEPT = 4 * HORIZON  # last days whose true mean is kept
ARRAYS = ("units", "prices", "benefits", "expected", "noise")
HIERARCHY = ("state", "store", "category", "department", "item")
STORES = ("N1", "N2", "N3", "N4", "S1", "S2", "S3", "W1", "W2", "W3")  # the letter is the state
DEPARTMENTS = {  # share of items, log level, elasticity of price, strength of the year, of weekends, of benefits
    "pantry 1": (0.27, 0.45, -1.2, 0.06, 0.22, 0.14),
    "pantry 2": (0.13, 0.05, -1.5, 0.10, 0.25, 0.12),
    "pantry 3": (0.07, -0.10, -1.3, 0.15, 0.18, 0.10),
    "home 1": (0.17, 0.00, -1.4, 0.10, 0.30, 0.03),
    "home 2": (0.17, -0.75, -1.6, 0.18, 0.35, 0.02),
    "leisure 1": (0.14, -0.35, -1.3, 0.12, 0.28, 0.01),
    "leisure 2": (0.05, -0.85, -1.1, 0.16, 0.20, 0.01),
}
CATEGORIES = ("pantry", "home", "leisure")
EVENTS = (  # name, month, day, log effect on the day by category (pantry, home, leisure), lead-up days
    ("New Year", 1, 1, (-0.35, -0.30, -0.25), 1),
    ("Big Match", 2, 6, (0.20, -0.05, 0.00), 2),
    ("Hearts Day", 2, 14, (0.05, 0.05, 0.20), 3),
    ("Spring Feast", 4, 10, (-0.20, -0.15, 0.05), 3),
    ("Mothers Day", 5, 9, (0.05, 0.10, 0.10), 2),
    ("May Holiday", 5, 29, (0.15, 0.20, 0.05), 2),
    ("Fathers Day", 6, 20, (0.10, 0.10, 0.10), 1),
    ("Midsummer", 7, 4, (0.15, 0.00, 0.10), 2),
    ("Workers Day", 9, 6, (0.15, 0.10, 0.00), 1),
    ("Costume Night", 10, 31, (0.00, -0.10, 0.25), 3),
    ("Harvest Feast", 11, 24, (-0.45, -0.40, -0.30), 3),
)
CLOSED = ("Closing Day", 12, 25)
BENEFIT_DAYS = {"N": (1, 2, 3, 4, 5, 6, 7, 8, 9, 10), "S": (1, 3, 5, 6, 7, 9, 11, 12, 13, 15), "W": (2, 3, 5, 6, 8, 9)}
LOG_LEVEL = -0.96  # sets mean demand near 1.1 a day
ROWS = 1_000  # series drawn at once


@dataclass(frozen=True, eq=False)
class RetailChain:
    """Everything there is of the chain, future days and all.

    Parameters
    ----------
    units
        [N, T] sales, zero before launch.
    prices
        [N, T + 28] paid in each week, NaN before launch.
    expected, noise
        [N, 112] mean and variance that the last days' units were drawn from, every drift and shock known: no forecast
        can know as much, but a score that this does not win is wrong.
    events
        [T + 28] name of the day's event, or "".
    benefits
        [3, T + 28] 1 where the state pays out, by state.
    series
        N rows: ``unique_id`` and the five attributes.
    """

    units: Floats
    prices: Floats
    expected: Floats
    noise: Floats
    events: tuple[str, ...]
    benefits: Floats
    series: pl.DataFrame

    @classmethod
    def made(cls, n_series: int | None = None, seed: int = 0) -> RetailChain:
        """Return the whole chain, or its first items in all ten stores until there are ``n_series``."""
        items = ITEMS if n_series is None else min(ITEMS, -(-n_series // len(STORES)))
        return _Maker(np.random.default_rng(seed), items).chain()

    def panel(self, back: int = 0) -> tuple[Panel, Floats]:
        """Return the panel that ends ``back`` days before the data does, and what came: [N, 28], less where it ends."""
        end = DAYS - back
        known = end + HORIZON
        states = self.series["state"].cast(pl.Enum(sorted(BENEFIT_DAYS))).to_physical().to_numpy()
        panel = Panel.from_wide(
            self.units[:, :end],
            start=START,
            freq="1d",
            series=self.series,
            known_future={
                "price": self.prices[:, :known],
                "event": np.array([name or None for name in self.events[:known]], dtype=object),
                "benefits": self.benefits[states, :known],
            },
            hierarchy=HIERARCHY,
        )
        return panel, self.units[:, end:known]

    def truth(self, back: int) -> tuple[Floats, Floats]:
        """Return mean and variance [N, 28] of the days after the panel that ends ``back`` days before the data does.

        Raises
        ------
        ValueError
            Those days are not kept: only the last 112 are.
        """
        low = KEPT - back
        if low < 0 or low + HORIZON > KEPT:
            raise ValueError(f"truth is kept of the last {KEPT} days, so back must be {HORIZON} to {KEPT}, got {back}")
        return self.expected[:, low : low + HORIZON], self.noise[:, low : low + HORIZON]

    def save(self, folder: Path) -> None:
        """Write the chain to ``folder``."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in ARRAYS:
            np.save(folder / f"{name}.npy", getattr(self, name))
        (folder / "events.txt").write_text("\n".join(self.events))
        self.series.write_csv(folder / "series.csv")  # last: its presence says that the rest is whole

    @classmethod
    def load(cls, folder: Path) -> RetailChain:
        """Read what `save` wrote."""
        read: dict[str, Any] = {name: np.load(folder / f"{name}.npy") for name in ARRAYS}
        events = tuple((folder / "events.txt").read_text().split("\n"))
        return cls(events=events, series=pl.read_csv(folder / "series.csv", infer_schema=False), **read)


@dataclass(frozen=True, eq=False)
class _Maker:
    rng: np.random.Generator
    items: int

    def chain(self) -> RetailChain:
        """Draw calendar, then what items and stores share, then the series themselves."""
        rng, length = self.rng, DAYS + HORIZON
        days = [START + dt.timedelta(days=n) for n in range(length)]
        names = _event_names(days)
        weekday = np.arange(length) % 7
        angle = 2.0 * np.pi * np.array([day.timetuple().tm_yday for day in days]) / 365.25
        departments = list(DEPARTMENTS)
        shares = np.array([DEPARTMENTS[name][0] for name in departments])
        of_item = np.sort(rng.choice(len(departments), size=self.items, p=shares / shares.sum()))
        categories = [name.split()[0] for name in departments]
        category_of = np.array([CATEGORIES.index(name) for name in categories])
        benefits = np.array([[float(day.day in BENEFIT_DAYS[state]) for day in days] for state in sorted(BENEFIT_DAYS)])
        state_of = np.array([sorted(BENEFIT_DAYS).index(store[0]) for store in STORES])

        # What a department's day looks like in a store: [stores, departments, days], logs.
        growth = 0.04 * np.arange(length) / 365.25 + _walk(rng, (1, 1), length, 0.012)
        shape = np.broadcast_to(growth, (len(STORES), len(departments), length)).copy()
        shape += rng.normal(0.0, 0.30, (len(STORES), 1, 1)) + _walk(rng, (len(STORES), 1), length, 0.015)
        shape += rng.normal(0.0, 0.15, (len(STORES), len(departments), 1))
        shape += _walk(rng, (len(STORES), len(departments)), length, 0.020)
        weekend = np.array([-0.25, -0.35, -0.35, -0.25, 0.0, 0.75, 0.70])
        effects = {name: effect for name, _, _, effect, _ in EVENTS}
        leads = {name: lead for name, _, _, _, lead in EVENTS}
        for d, name in enumerate(departments):
            _, _, _, yearly, weekly, benefit = DEPARTMENTS[name]
            phase = rng.uniform(0.0, 2.0 * np.pi, 2)
            year = np.sin(angle + phase[0]) + 0.4 * np.sin(2.0 * angle + phase[1])
            shape[:, d] += weekly * weekend[weekday] * (1.0 + rng.normal(0.0, 0.2, (len(STORES), 1)))
            shape[:, d] += yearly * year * (1.0 + rng.normal(0.0, 0.2, (len(STORES), 1)))
            shape[:, d] += benefit * benefits[state_of]
            for t, event in enumerate(names):
                if event in effects:
                    effect = effects[event][category_of[d]]
                    shape[:, d, t] += effect
                    for before in range(1, min(leads[event], t) + 1):
                        shape[:, d, t - before] += 0.4 * abs(effect)
        shocks = rng.normal(0.0, 0.06, (len(STORES), 3, length))  # weather and the like: a store's category on a day
        shape += shocks[:, category_of] + rng.normal(0.0, 0.02, (1, 1, length))
        open_day = np.array([event != CLOSED[0] for event in names])

        level = rng.normal(0.0, 1.10, self.items) + np.array([DEPARTMENTS[departments[d]][1] for d in of_item])
        drift = _walk(rng, (self.items,), length, 0.035, pull=0.985)
        launch = np.where(rng.random(self.items) < 0.45, 0, rng.integers(0, int(0.85 * DAYS), self.items))
        usual = np.round(np.exp(rng.normal(1.1, 0.6, self.items)), 2)
        row = np.arange(self.items * len(STORES))
        return RetailChain(
            *self._series(level, drift, launch, usual, of_item, shape, open_day),
            events=tuple(names),
            benefits=benefits.astype(np.float32),
            series=pl.DataFrame(
                {
                    "unique_id": [f"item {i // len(STORES):04d} {STORES[i % len(STORES)]}" for i in row],
                    "item": [f"item {i // len(STORES):04d}" for i in row],
                    "department": [departments[of_item[i // len(STORES)]] for i in row],
                    "category": [categories[of_item[i // len(STORES)]] for i in row],
                    "store": [STORES[i % len(STORES)] for i in row],
                    "state": [STORES[i % len(STORES)][0] for i in row],
                }
            ),
        )

    def _series(
        self, level: Any, drift: Any, launch: Any, usual: Any, of_item: Any, shape: Any, open_day: Any
    ) -> tuple[Floats, Floats, Floats, Floats]:
        """Draw units, prices and what was expected of the last days, items in blocks with a generator each."""
        length = shape.shape[-1]
        n = self.items * len(STORES)
        units, prices = np.empty((n, DAYS), dtype=np.float32), np.empty((n, length), dtype=np.float32)
        expected, noise = np.empty((n, KEPT), dtype=np.float32), np.empty((n, KEPT), dtype=np.float32)
        elasticity = np.array([part[2] for part in DEPARTMENTS.values()])
        per_block = ROWS // len(STORES)
        for low in range(0, self.items, per_block):
            rng = np.random.default_rng(self.rng.integers(2**63))
            some = np.arange(low, min(low + per_block, self.items))
            item, store = np.repeat(some, len(STORES)), np.tile(np.arange(len(STORES)), len(some))
            rows = slice(low * len(STORES), (low + len(some)) * len(STORES))
            begins = np.minimum(launch[item] + rng.geometric(0.03, len(item)) * (launch[item] > 0), DAYS - 60)
            price, cut = _price(rng, usual[item], length)
            log = (LOG_LEVEL + level[item] + rng.normal(0.0, 0.45, len(item)))[:, None] + shape[store, of_item[item]]
            log += drift[item] + _walk(rng, (len(item),), length, 0.05, pull=0.98)
            log += elasticity[of_item[item]][:, None] * cut * rng.gamma(4.0, 0.25, (len(item), 1))
            mean = np.exp(log)
            mean[:, ~open_day] = 0.0
            mean[_off_shelf(rng, len(item), length)] = 0.0
            day = np.arange(length)
            mean[day < begins[:, None]] = 0.0
            price[day < (begins - begins % 7)[:, None]] = np.nan
            mean = mean[:, :DAYS]
            bunch = rng.gamma(2.0, 0.30, (len(item), 1)) + 0.10 * mean  # variance over mean, less 1
            units[rows] = rng.poisson(rng.gamma(np.maximum(mean / bunch, 1e-9)) * bunch)
            prices[rows] = price
            expected[rows] = mean[:, -KEPT:]
            noise[rows] = (mean * (1.0 + bunch))[:, -KEPT:]
        return units, prices, expected, noise


def _event_names(days: list[dt.date]) -> list[str]:
    """Return the name of each day's event, or nothing; feasts that move keep their month."""
    found = {(month, day): name for name, month, day, *_ in EVENTS} | {(CLOSED[1], CLOSED[2]): CLOSED[0]}
    moving = {("Spring Feast", year): (year * 11) % 21 - 10 for year in range(days[0].year, days[-1].year + 1)}
    names = [found.get((day.month, day.day), "") for day in days]
    for (name, year), shift in moving.items():
        fixed = dt.date(year, 4, 10)
        for day, put in ((fixed, ""), (fixed + dt.timedelta(days=shift), name)):
            if days[0] <= day <= days[-1]:
                names[(day - days[0]).days] = put
    return names


def _walk(rng: np.random.Generator, shape: tuple[int, ...], length: int, step: float, pull: float = 0.995) -> Any:
    """Return logs [..., length] that walk weekly in normal steps and are pulled back to zero."""
    weeks = -(-length // 7)
    steps = rng.normal(0.0, step, (*shape, weeks)).astype(np.float32)
    walk = np.empty_like(steps)
    now = rng.normal(0.0, step / np.sqrt(1.0 - pull**2), shape).astype(np.float32)
    for week in range(weeks):
        now = pull * now + steps[..., week]
        walk[..., week] = now
    return np.repeat(walk, 7, axis=-1)[..., :length]


def _price(rng: np.random.Generator, usual: Any, length: int) -> tuple[Any, Any]:
    """Return prices [n, length] by week and the log of each over its usual one: lasting steps, and cuts of weeks."""
    weeks = -(-length // 7)
    n = len(usual)
    steps = np.where(rng.random((n, weeks)) < 0.012, rng.normal(0.03, 0.06, (n, weeks)), 0.0)
    lasting = np.cumsum(steps, axis=1) + rng.normal(0.0, 0.03, (n, 1))
    begins = rng.random((n, weeks)) < 0.02
    depth = np.where(begins, rng.uniform(0.08, 0.30, (n, weeks)), 0.0)
    cut = depth.copy()
    for more in range(1, 3):  # three weeks each
        cut[:, more:] = np.maximum(cut[:, more:], depth[:, :-more])
    price = np.maximum(0.1, np.round(usual[:, None] * np.exp(lasting) * (1.0 - cut), 2))
    paid = np.log(price / usual[:, None]) * 0.5 + np.log1p(-cut) * 0.5  # lasting steps move demand half as much
    return tuple(np.repeat(part, 7, axis=1)[:, :length].astype(np.float32) for part in (price, paid))


def _off_shelf(rng: np.random.Generator, n: int, length: int) -> Any:
    """Return [n, length] where an item is not on the shelf: a spell of 4 weeks on average for two in five a year."""
    off = np.zeros((n, length), dtype=np.bool_)
    spells = rng.poisson(0.4 * length / 365.0, n)
    for row in np.flatnonzero(spells):
        for start in rng.integers(0, length, spells[row]):
            off[row, start : start + rng.geometric(1.0 / 28.0)] = True
    return off

"""The supply of the made-up shop: a person orders with a rule of thumb, and what is not on the shelf is not sold.

Shape letters: P products, N series (a product in a warehouse), T past days.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shelfwise.demo.catalogue import PAPER_MILL, SHOP, SUPPLIERS, SYRUP_MAKER, WEB, Catalogue
from shelfwise.demo.demand import Market

_MEMORY_DAYS: Final = 42  # the buyer looks at the last six weeks
_FORGETS: Final = 0.07
_BUYER_AWAY_DAYS: Final = 4  # nobody has ordered in the last days: that is why there is something to do today
_SPLIT_DELIVERY: Final = 0.06
_NOT_COUNTED: Final = -1


@dataclass
class OrderLine:
    """One line of a purchase order; days count from the first day of history."""

    order: int
    supplier: int
    series: int
    quantity: int
    ordered: int
    expected: int
    deliveries: list[tuple[int, int]] = field(default_factory=list)  # (day, units) of goods that have come

    @property
    def received(self) -> int:
        """Units received so far."""
        return sum(units for _, units in self.deliveries)


@dataclass(frozen=True)
class Ledger:
    """What happened: [N, T] units of every kind of movement, in the order in which a day brings them.

    ``counted`` is -1 where nothing was counted. Counts come before receipts, receipts before transfers, transfers
    before wholesale, then retail, returns and adjustments.
    """

    counted: NDArray[np.int64]
    received: NDArray[np.int64]
    transferred: NDArray[np.int64]
    wholesale: NDArray[np.int64]
    retail: NDArray[np.int64]
    returned: NDArray[np.int64]
    adjusted: NDArray[np.int64]
    on_hand: NDArray[np.int64]  # at the end of the day
    known: NDArray[np.bool_]  # [N] whether the series was ever counted
    order_lines: tuple[OrderLine, ...]


class _Supply:
    """The shop's stock while days pass."""

    def __init__(self, rng: np.random.Generator, catalogue: Catalogue, market: Market) -> None:
        self.rng, self.catalogue, self.market = rng, catalogue, market
        n, t = market.retail.shape
        self.n, self.t = n, t
        products = catalogue.products
        self.pack = catalogue.of_series([p.pack_size for p in products])
        self.moq = catalogue.of_series([p.minimum_order_quantity for p in products])
        self.cost = catalogue.of_series([p.unit_cost for p in products])
        self.lead = np.array([s.lead_time_days for s in SUPPLIERS], dtype=np.float64)[catalogue.supplier_of]
        self.review = np.array([s.review_days for s in SUPPLIERS], dtype=np.float64)[catalogue.supplier_of]
        self.launch = catalogue.of_series([-1e6 if p.launch is None else p.launch + t for p in products])
        self.end = catalogue.of_series([1e6 if p.last_day is None else p.last_day + t for p in products])
        # What the buyer believes of each series is off by a sixth or so, and for one in twelve far too high.
        hopeful = np.where(rng.random(n) < 1 / 12, 2.6, 1.0)
        self.bias = np.exp(rng.normal(0.0, 0.18, size=n)) * hopeful
        both: defaultdict[int, dict[int, int]] = defaultdict(dict)
        for i, (p, w) in enumerate(catalogue.series):
            both[int(p)][int(w)] = i
        self.pairs = np.array([[by[SHOP], by[WEB]] for by in both.values() if len(by) == 2], dtype=np.int64)
        self.on_hand = np.zeros(n, dtype=np.int64)
        self.on_order = np.zeros(n, dtype=np.int64)
        self.known = np.zeros(n, dtype=np.bool_)
        self.sold_so_far = np.zeros((n, t + 1), dtype=np.int64)
        self.arrivals: defaultdict[int, list[tuple[OrderLine, int]]] = defaultdict(list)
        self.lines: list[OrderLine] = []
        self.orders = 0
        self.told = {SYRUP_MAKER: False, PAPER_MILL: False}
        self.book = {
            name: np.zeros((n, t), dtype=np.int64)
            for name in ("received", "transferred", "wholesale", "retail", "returned", "adjusted", "on_hand")
        }
        self.book["counted"] = np.full((n, t), _NOT_COUNTED, dtype=np.int64)

    def run(self) -> Ledger:
        """Live through all days and return what happened."""
        self._open_the_books()
        months = self.market.timeline.days.astype("datetime64[M]")
        counted_month = months[0]
        for day in range(self.t):
            floor_open = bool(self.market.shop_open[day])
            if floor_open and months[day] != counted_month:
                self._count(day)
                counted_month = months[day]
            self._receive(day)
            if floor_open:
                self._transfer(day)
            self._sell(day)
            self._take_back_and_write_off(day, floor_open=floor_open)
            self.book["on_hand"][:, day] = self.on_hand
            self._order(day, floor_open=floor_open)
        return Ledger(known=self.known, order_lines=tuple(self.lines), **self.book)

    def _open_the_books(self) -> None:
        alive = (self.launch < 0) & (self.end >= 0)
        cover_days = (self.lead + self.review) * self.rng.uniform(0.8, 1.7, size=self.n)
        self.on_hand[alive] = np.ceil(self.catalogue.units_per_day * cover_days + 1.0).astype(np.int64)[alive]
        self.known |= alive
        self.book["counted"][alive, 0] = self.on_hand[alive]

    def _count(self, day: int) -> None:
        """Count everything: now and then a unit or two have gone, or one more turns up."""
        off = self.rng.choice([-2, -1, 0, 1], p=[0.04, 0.10, 0.83, 0.03], size=self.n)
        found = np.maximum(self.on_hand + off, 0)
        self.on_hand = np.where(self.known, found, self.on_hand)
        self.book["counted"][self.known, day] = self.on_hand[self.known]

    def _receive(self, day: int) -> None:
        for line, units in self.arrivals.pop(day, []):
            if not self.known[line.series]:
                self.known[line.series] = True
                self.book["counted"][line.series, day] = 0
            line.deliveries.append((day, units))
            self.on_hand[line.series] += units
            self.on_order[line.series] -= units
            self.book["received"][line.series, day] += units

    def _transfer(self, day: int) -> None:
        """Carry some units from the webshop's store to an empty shelf, when somebody notices."""
        shop, web = self.pairs.T
        spare = self.on_hand[web] // 3
        noticed = self.rng.random(len(self.pairs)) < 0.12
        moves = noticed & (self.on_hand[shop] == 0) & (spare >= 2) & self.known[shop] & self.market.on_sale[shop, day]
        wish = np.ceil(self.catalogue.units_per_day[shop] * 6.0).astype(np.int64)
        units = np.where(moves, np.minimum(spare, np.maximum(wish, 1)), 0)
        for series, sign in ((shop, 1), (web, -1)):
            self.on_hand[series] += sign * units
            self.book["transferred"][series, day] = sign * units

    def _sell(self, day: int) -> None:
        for name, wanted in (("wholesale", self.market.wholesale), ("retail", self.market.retail)):
            sold = np.minimum(wanted[:, day], self.on_hand)
            self.on_hand -= sold
            self.book[name][:, day] = sold
        # Wholesale is an exception to the buyer, who plans by what the till sells.
        self.sold_so_far[:, day + 1] = self.sold_so_far[:, day] + self.book["retail"][:, day]

    def _take_back_and_write_off(self, day: int, *, floor_open: bool) -> None:
        staffed = floor_open | (self.catalogue.warehouse_of == WEB)
        if day >= 4:
            chance = np.where(self.catalogue.warehouse_of == WEB, 0.02, 0.004)
            back = self.rng.binomial(self.book["retail"][:, day - 4], chance * staffed)
            self.on_hand += back
            self.book["returned"][:, day] = back
        broken = (self.rng.random(self.n) < 0.002) & staffed
        lost = np.minimum(self.rng.integers(1, 3, size=self.n), self.on_hand) * broken
        self.on_hand -= lost
        self.book["adjusted"][:, day] = -lost

    def _expected_rate(self, day: int) -> NDArray[np.float64]:
        """What the buyer thinks will sell, [N] units a day: recent sales, a feeling for the season, and an error.

        Days without stock are not left out: the sales that a stockout hid are missing here, as in many shops.
        """
        age = day + 1 - np.maximum(self.launch, 0.0)
        window = np.clip(age, 1.0, _MEMORY_DAYS).astype(np.int64)
        sold = self.sold_so_far[:, day + 1] - self.sold_so_far[np.arange(self.n), np.maximum(day + 1 - window, 0)]
        seen = sold / window
        trust = np.clip(age / 28.0, 0.0, 1.0)
        rate = trust * seen + (1.0 - trust) * self.catalogue.units_per_day
        season = self.market.season
        ahead = season[np.arange(self.n), day + self.lead.astype(np.int64)] / season[:, max(day - 21, 0)]
        noise = np.exp(self.rng.normal(0.0, 0.15, size=self.n))
        return np.asarray(rate * np.sqrt(ahead) * self.bias * noise)

    def _order(self, day: int, *, floor_open: bool) -> None:
        weekday = int(self.market.timeline.weekday[day])
        for k, supplier in enumerate(SUPPLIERS):
            if weekday not in supplier.order_weekdays or not self.market.supplier_open[k, day]:
                continue
            expected = self._after_working_days(k, day, supplier.lead_time_days)
            # Each of two orders due in the last seven days tells a story: one has not come, one came in part.
            story = k in self.told and not self.told[k] and self.t - 7 <= expected < self.t
            if supplier.review_days > 7 and (day // 7) % 2:
                continue
            careless = not floor_open or self.rng.random() < _FORGETS or day >= self.t - _BUYER_AWAY_DAYS
            if careless and not story:
                continue
            wish = self._wish(k, day, at_least_one=story)
            wish = self._meet_minimum(k, wish, even_if_nothing_is_out=story)
            if not wish.any():
                continue
            self._send(k, day, expected, wish, story=story)

    def _wish(self, k: int, day: int, *, at_least_one: bool) -> NDArray[np.int64]:
        """Return the units the buyer wants of a supplier, [N], in whole packs."""
        rate = self._expected_rate(day)
        low = np.maximum(rate * (self.lead + self.review) * 1.12 + 1.0 * np.sqrt(rate * self.lead), 1.0)
        high = low + np.maximum(rate * np.maximum(self.review, 8.0), 1.0)
        position = self.on_hand + self.on_order
        orderable = (
            (self.catalogue.supplier_of == k)
            & (day >= self.launch - self.lead - self.review - 4.0)
            & (day + self.lead + self.review < self.end)
        )
        needed = orderable & (position < low)
        if at_least_one and not needed.any():
            needed[np.argmin(np.where(orderable, position / np.maximum(low, 1e-9), np.inf))] = True
        units = np.maximum(np.maximum(high - position, self.moq), 2.0 * self.pack if at_least_one else 0.0)
        return np.where(needed, np.ceil(units / self.pack) * self.pack, 0.0).astype(np.int64)

    def _meet_minimum(self, k: int, wish: NDArray[np.int64], *, even_if_nothing_is_out: bool) -> NDArray[np.int64]:
        """Fill an order up to the supplier's minimum value, or let it wait when nothing is out of stock."""
        lowest = SUPPLIERS[k].minimum_order_value
        value = float(wish @ self.cost)
        asked = wish > 0
        if not asked.any() or value >= lowest:
            return wish
        if not even_if_nothing_is_out and not (self.on_hand[asked] == 0).any():
            return np.zeros_like(wish)
        one_more_of_each = np.where(asked, self.pack, 0.0)
        rounds = np.ceil((lowest - value) / float(one_more_of_each @ self.cost))
        return np.asarray(wish + (one_more_of_each * rounds).astype(np.int64))

    def _send(self, k: int, day: int, expected: int, wish: NDArray[np.int64], *, story: bool) -> None:
        supplier = SUPPLIERS[k]
        shape = (supplier.true_lead_days / supplier.lead_time_sd_days) ** 2
        lead = max(round(float(self.rng.gamma(shape, supplier.true_lead_days / shape))), 1)
        arrival = self._delivery_day(self._after_working_days(k, day, lead))
        split = self.rng.random() < _SPLIT_DELIVERY
        rest_after = int(self.rng.integers(2, 7))
        first_part = 1.0
        if story:
            self.told[k] = True
            late = k == SYRUP_MAKER
            came = int(np.flatnonzero(self.market.shop_open[: expected + 1])[-1])
            arrival, first_part = (self.t + 2, 1.0) if late else (came, 0.5)
            rest_after = self.t + 3 - arrival
        elif split:
            first_part = 0.5
        self.orders += 1
        for series in np.flatnonzero(wish):
            quantity = int(wish[series])
            line = OrderLine(self.orders, k, int(series), quantity, day, expected)
            self.lines.append(line)
            self.on_order[series] += quantity
            packs = quantity / self.pack[series]
            first = round(float(np.ceil(packs * first_part) * self.pack[series]))
            self.arrivals[arrival].append((line, first))
            if first < quantity:
                self.arrivals[self._delivery_day(arrival + rest_after)].append((line, quantity - first))

    def _after_working_days(self, k: int, day: int, working_days: int) -> int:
        """Return the day that many days of the supplier later; its closed days do not count."""
        open_days = np.flatnonzero(self.market.supplier_open[k, day + 1 :])
        return day + 1 + int(open_days[working_days - 1])

    def _delivery_day(self, day: int) -> int:
        """Goods come to both warehouses, which share a yard, when the shop floor is open."""
        return day + int(np.argmax(self.market.shop_open[day:]))


def run_supply(rng: np.random.Generator, catalogue: Catalogue, market: Market) -> Ledger:
    """Let the shop buy and sell through its history: sales are the smaller of demand and stock."""
    return _Supply(rng, catalogue, market).run()

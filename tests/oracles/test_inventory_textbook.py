"""Numbers printed in textbooks, met by our functions.

Nahmias, Production and Operations Analysis: the number 2 pencils of chapter 4 (EOQ), the Computer Journal (newsvendor)
and Harvey's mustard (service levels of both types) of chapter 5, the unit normal loss function L(z) of the appendix.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from shelfwise.inventory.lot_sizing import economic_order_quantity
from shelfwise.inventory.safety_stock import critical_ratio, cycle_service_stock, fill_rate_stock

LOSS_TABLE = {0.0: 0.3989, 0.5: 0.1978, 1.0: 0.0833, 1.5: 0.0293, 2.0: 0.0085}


def normal_paths(mean: float, sd: float, n_paths: int = 20_000) -> np.ndarray:
    """Return [1, S] evenly spread quantiles of a normal: protection demand without sampling noise."""
    return stats.norm.ppf((np.arange(n_paths) + 0.5) / n_paths, mean, sd)[None, :]


def test_eoq_of_the_pencils_is_3870() -> None:
    # 60 pencils a week for 52 weeks; 12 dollars an order; 25 % a year of 2 cents each.
    assert economic_order_quantity(3120.0, 12.0, 0.25 * 0.02) == pytest.approx(3870, abs=0.5)


def test_newsvendor_of_the_computer_journal_orders_15() -> None:
    # Costs 25 cents, sells for 75, salvaged for 10; 11.73 asked for on average, standard deviation 4.74.
    level = float(critical_ratio(0.75 - 0.25, 0.25 - 0.10))
    assert level == pytest.approx(0.77, abs=0.005)
    assert cycle_service_stock(normal_paths(11.73, 4.74), level)[0] == pytest.approx(15.24, abs=0.05)


def test_mustard_with_98_percent_of_cycles_covered_reorders_at_151() -> None:
    # Lead-time demand has mean 100 and standard deviation 25.
    assert cycle_service_stock(normal_paths(100, 25), 0.98)[0] == pytest.approx(151, abs=0.5)


def test_mustard_with_98_percent_of_units_filled_reorders_at_126() -> None:
    # The same item in lots of 100: the expected shortage may be two jars a cycle, L(z) = 0.08, z = 1.02.
    assert fill_rate_stock(normal_paths(100, 25), [100.0], 0.98)[0] == pytest.approx(126, abs=0.5)


@pytest.mark.parametrize(("z", "loss"), LOSS_TABLE.items())
def test_fill_rate_stock_inverts_the_tabled_normal_loss(z: float, loss: float) -> None:
    # A shortage of sigma L(z) is expected with z standard deviations above the mean.
    sd, cycle = 10.0, 50.0
    stock = fill_rate_stock(normal_paths(100, sd), [cycle], 1 - sd * loss / cycle)[0]
    assert (stock - 100) / sd == pytest.approx(z, abs=0.01)


@pytest.mark.parametrize("level", [0.96, 0.98, 0.99, 0.999])
@pytest.mark.parametrize("mean", [2.0, 40.0])
def test_the_tail_of_200_paths_is_close_to_the_negative_binomial_they_came_from(mean: float, level: float) -> None:
    shape = 3.0
    demand = stats.nbinom(shape, shape / (shape + mean))
    rng = np.random.default_rng(0)
    levels = (np.arange(200) + rng.random((500, 200))) / 200  # stratified, as forecasts are
    stock = cycle_service_stock(demand.ppf(levels), level)
    truth = demand.ppf(level)
    assert np.median(stock) == pytest.approx(truth, rel=0.1, abs=1.0)


def test_200_paths_alone_would_fall_short_of_a_service_level_of_999_in_1000() -> None:
    """The story of the tail rule: the largest of 200 values covers about 99.5 %, whatever is asked for."""
    shape, mean, level = 3.0, 40.0, 0.999
    demand = stats.nbinom(shape, shape / (shape + mean))
    paths = demand.ppf((np.arange(200) + 0.5) / 200)[None, :]
    assert demand.cdf(paths.max()) < 0.9985
    assert demand.cdf(cycle_service_stock(paths, level)[0]) >= 0.9985


@pytest.mark.parametrize("fill_rate", [0.97, 0.99, 0.995])
def test_fill_rate_from_200_paths_is_close_to_the_gamma_they_came_from(fill_rate: float) -> None:
    shape, scale, cycle = 4.0, 10.0, 20.0
    demand = stats.gamma(shape, scale=scale)
    stock = fill_rate_stock(demand.ppf((np.arange(200) + 0.5) / 200)[None, :], [cycle], fill_rate)[0]
    grid = np.linspace(stock, demand.ppf(1 - 1e-12), 200_001)
    shortage = np.trapezoid(demand.sf(grid), grid)
    assert shortage == pytest.approx((1 - fill_rate) * cycle, rel=0.1)

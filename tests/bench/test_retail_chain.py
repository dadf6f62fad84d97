import numpy as np
import polars as pl
import pytest
from bench._level_scores import calibration
from bench._retail_chain import ARRAYS, DAYS, HORIZON, KEPT, RetailChain

from shelfwise.domain.forecast import Forecast, Provenance
from shelfwise.domain.marginals import Marginals


def test_the_same_seed_makes_the_same_chain_and_it_survives_a_file(tmp_path):
    chain = RetailChain.made(200, seed=3)
    chain.save(tmp_path / "chain")
    again = RetailChain.load(tmp_path / "chain")
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(chain, name), getattr(again, name))
    assert chain.events == again.events
    assert chain.series.equals(again.series)
    assert RetailChain.made(200, seed=3).units.sum() == chain.units.sum() != RetailChain.made(200, seed=4).units.sum()


def test_the_panel_of_a_cutoff_ends_there_and_knows_28_days_of_covariates():
    chain = RetailChain.made(100)
    panel, actual = chain.panel(back=HORIZON)
    assert panel.n_series == 100
    assert panel.lengths.tolist() == [DAYS - HORIZON] * 100
    np.testing.assert_array_equal(actual, chain.units[:, -HORIZON:])
    for covariate in panel.known_future.values():
        assert np.isnan(covariate.at(panel.ends + HORIZON, 1)).all()
    assert not np.isnan(panel.known_future["price"].at(panel.ends, HORIZON)).any()
    assert set(panel.hierarchy) < set(panel.series.columns)


def test_nothing_sells_without_a_price_or_on_the_closed_day():
    chain = RetailChain.made(300)
    assert chain.units[np.isnan(chain.prices[:, :DAYS])].sum() == 0
    closed = [day for day, name in enumerate(chain.events[:DAYS]) if name == "Closing Day"]
    assert len(closed) == 5
    assert chain.units[:, closed].sum() == 0


def test_what_the_days_were_drawn_from_fits_what_came_of_them():
    chain = RetailChain.made(1000)
    units, mean, variance = chain.units[:, -KEPT:], chain.expected, chain.noise
    assert units.sum() == pytest.approx(mean.sum(), abs=4 * float(np.sqrt(variance.sum())))
    assert np.mean((units - mean) ** 2) == pytest.approx(float(variance.mean()), rel=0.15)
    some, _ = chain.truth(HORIZON)
    np.testing.assert_array_equal(some, mean[:, -HORIZON:])
    with pytest.raises(ValueError, match="back must be 28 to 112, got 140"):
        chain.truth(5 * HORIZON)


def test_what_the_days_were_drawn_from_covers_exactly_at_every_level():
    chain = RetailChain.made(2000)
    past, actual = chain.panel(HORIZON)
    truth = Marginals(*chain.truth(HORIZON))
    told = calibration(
        actual, Forecast(past.series, past.ends, past.freq, Provenance("truth", "1"), marginals=truth)
    ).filter(pl.col("nodes") >= 70)
    assert told.height == 4
    assert told["coverage"].to_list() == pytest.approx([0.8] * 4, abs=0.015)
    assert told["total_coverage"].to_list() == pytest.approx([0.8] * 4, abs=0.12)  # of 70, 200, 600 and 2,000 sums

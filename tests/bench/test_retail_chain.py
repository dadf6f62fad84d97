import numpy as np
from bench._retail_chain import DAYS, HORIZON, RetailChain


def test_the_same_seed_makes_the_same_chain_and_it_survives_a_file(tmp_path):
    chain = RetailChain.made(200, seed=3)
    chain.save(tmp_path / "chain")
    again = RetailChain.load(tmp_path / "chain")
    for name in ("units", "prices", "benefits"):
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

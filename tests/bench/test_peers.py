import numpy as np
import pytest
from bench._panels import fixed_sample
from bench._peers import PEERS, Answer, completed, frequency_of, long_frame, probabilities_of

from shelfwise.domain.panel import Panel
from shelfwise.forecasting import metrics

pytest.importorskip("statsforecast")
BY_NAME = {peer.name: peer for peer in PEERS}


def retail(n: int = 4, periods: int = 70) -> Panel:
    rng = np.random.default_rng(0)
    values = rng.poisson(3.0 + np.arange(n)[:, None], (n, periods)).astype(float)
    values[1, :-1] = np.nan  # one period only
    values[2, :-9] = np.nan  # too short for conformal intervals
    return Panel.from_wide(values, start="2026-01-05", series={"unique_id": [f"s{i}" for i in range(n)]})


@pytest.mark.parametrize("name", ["SeasonalNaive", "Theta", "IMAPA", "CrostonSBA", "AutoETS"])
def test_a_peer_answers_for_every_series_without_gaps_crossings_or_negative_units(name: str):
    past = retail()
    answer = BY_NAME[name].fit_predict(past, 5)
    assert answer.mean.shape == (4, 5)
    assert answer.quantiles.shape == (4, 5, 9)
    assert (answer.quantiles >= 0).all()
    assert (np.diff(answer.quantiles, axis=2) >= 0).all()
    np.testing.assert_array_equal(answer.mean[1], past.values[past.offsets[1]])
    assert answer.refused >= 1


def test_the_quantiles_are_the_ends_of_the_librarys_own_intervals():
    from statsforecast.models import AutoETS

    past = retail().select([0, 3])
    answer = BY_NAME["AutoETS"].fit_predict(past, 5)
    for row in range(2):
        told = AutoETS(season_length=7).forecast(y=past.window(70)[row].astype(float), h=5, level=[80])
        np.testing.assert_allclose(answer.quantiles[row, :, 0], np.maximum(told["lo-80"], 0), rtol=1e-6)
        np.testing.assert_allclose(answer.quantiles[row, :, 8], told["hi-80"], rtol=1e-6)


def test_mlforecast_answers_and_uses_what_is_known_ahead():
    pytest.importorskip("mlforecast")
    rng = np.random.default_rng(1)
    promotion = (rng.random((20, 230)) < 0.3).astype(float)
    values = 100.0 + 50.0 * promotion[:, :220] + rng.normal(0, 1, (20, 220))
    past = Panel.from_wide(values, start="2026-01-05", known_future={"promotion": promotion})
    answer = BY_NAME["mlforecast LightGBM"].fit_predict(past, 10)
    assert answer.refused == 0
    on = promotion[:, 220:] > 0
    assert answer.mean[on].mean() - answer.mean[~on].mean() == pytest.approx(50, abs=5)


def test_an_answer_with_gaps_is_filled_and_counted():
    past = retail()
    broken = Answer(np.ones((4, 3)), np.full((4, 3, 9), np.nan))
    assert completed(broken, past, 3).refused == 4
    assert np.isfinite(completed(broken, past, 3).quantiles).all()


def test_the_frame_holds_every_period_of_every_series_in_order():
    past = retail()
    frame = long_frame(past)
    assert frame.groupby("unique_id").size().tolist() == [70, 1, 9, 70]
    assert frame[frame.unique_id == 2]["y"].tolist() == past.values[past.offsets[2] : past.offsets[3]].tolist()
    assert frame.groupby("unique_id")["ds"].max().nunique() == 1


@pytest.mark.parametrize(
    ("freq", "start", "name"), [("1d", "2026-01-05", "D"), ("1w", "2026-01-05", "W-MON"), ("1mo", "2026-01-01", "MS")]
)
def test_the_frequency_has_its_name_in_pandas(freq: str, start: str, name: str):
    assert frequency_of(Panel.from_wide([[1.0, 2.0, 3.0]], start=start, freq=freq)) == name


def test_coverage_by_quantiles_is_that_of_many_paths():
    rng = np.random.default_rng(2)
    paths = np.maximum(rng.normal(1.0, 2.0, (1, 20_000, 1)), 0.0)  # a third of it zero
    quantiles = np.repeat(np.quantile(paths, np.arange(1, 10) / 10, axis=1).transpose(1, 2, 0), 400, axis=1)
    actual = np.maximum(rng.normal(1.0, 2.0, (1, 400)), 0.0)
    below, up_to = probabilities_of(actual, quantiles)
    exact = metrics.probabilities(actual, np.repeat(paths, 400, axis=2))
    by_paths = metrics.pit_share(exact[0][0], exact[1][0], 0.1, 0.9)
    assert metrics.pit_share(below[0], up_to[0], 0.1, 0.9) == pytest.approx(by_paths, abs=0.01)


def test_the_fixed_sample_does_not_depend_on_the_order_and_grows_by_adding():
    panel = retail(12)
    turned = panel.select(np.arange(12)[::-1])
    small, large = fixed_sample(panel, 4), fixed_sample(panel, 7)
    assert set(small) < set(large)
    assert set(panel.ids.gather(small)) == set(turned.ids.gather(fixed_sample(turned, 4)))

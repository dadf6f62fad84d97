"""A calendar that series share answers to plans made after it was fitted: an event added, moved or called off."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest

from shelfwise.domain.panel import Panel
from shelfwise.forecasting.calendar_model import Calendars
from shelfwise.forecasting.explain import Part, explain
from shelfwise.forecasting.models.base_level import BaseLevel, BaseLevelPredictor
from shelfwise.forecasting.usual import laid_ahead

N, PAST, AHEAD = 90, 440, 21
FAIRS = (3, 4, 12)  # days ahead


def world(fairs: tuple[int, ...] = (), sale: tuple[int, ...] = ()) -> Panel:
    """Sales that follow the year, with rare fairs and frequent sales that all series share."""
    rng = np.random.default_rng(2)
    day = np.arange(PAST + AHEAD)
    fair = np.where(day % 41 < 2, "fair", "none").astype(object)
    flag = (day % 9 < 3).astype(float)
    rate = rng.gamma(4.0, 2.0, (N, 1)) * (1.0 + 0.5 * np.sin(2 * np.pi * day / 365.25))
    rate = rate * np.where(fair == "fair", 2.0, 1.0) * np.where(flag > 0, 1.5, 1.0)
    values = rng.poisson(rate).astype(float)
    fair[PAST:], flag[PAST:] = "none", 0.0
    fair[[PAST + d for d in fairs]], flag[[PAST + d for d in sale]] = "fair", 1.0
    return Panel.from_wide(
        values,
        start="2024-01-01",
        series={"unique_id": [f"p{i:02}" for i in range(N)], "category": [f"c{i % 3}" for i in range(N)]},
        known_future={"event": fair, "shop_sale": flag},
    ).split(AHEAD)[0]


@pytest.fixture(scope="module")
def calm() -> Panel:
    return world()


@pytest.fixture(scope="module")
def predictor(calm: Panel) -> BaseLevelPredictor:
    made = BaseLevel().fit(calm)
    assert made.fitted.calendar is not None
    assert set(made.fitted.calendar.covers) == {"event fair", "shop_sale"}
    return made


def mean(predictor, panel):
    return predictor.predict(panel, AHEAD).mean()


@pytest.mark.parametrize(("changed", "low"), [({"fairs": FAIRS}, 1.7), ({"sale": FAIRS}, 1.35)])
def test_an_event_planned_after_the_fit_counts_as_if_it_had_been_known(predictor, calm, changed, low):
    planned = world(**changed)
    known = BaseLevel().fit(planned)
    late, early, before = mean(predictor, planned), mean(known, planned), mean(predictor, calm)
    np.testing.assert_allclose(late, early, rtol=1e-4)
    assert (late[:, FAIRS] > low * before[:, FAIRS]).all()
    far = [d for d in range(AHEAD) if all(abs(d - f) > 3 for f in FAIRS)]
    np.testing.assert_allclose(late[:, far], before[:, far])


def test_an_event_called_off_after_the_fit_is_forecast_no_more(predictor, calm):
    known = BaseLevel().fit(world(fairs=FAIRS, sale=FAIRS))
    np.testing.assert_allclose(mean(known, calm), mean(predictor, calm), rtol=1e-4)


def test_a_plan_that_did_not_change_changes_no_bit(predictor, calm):
    assert predictor.fitted.calendar.plans.changed(calm, predictor.fitted.calendar.codes(calm.series), AHEAD) is None


def test_what_single_series_see_counts_for_them_alone(predictor, calm):
    event = calm.known_future["event"]
    code = float(event.categories.index("fair"))
    ahead = event.at(calm.ends, AHEAD)
    ahead[0, 3] = code
    one = replace(calm, known_future={**calm.known_future, "event": laid_ahead(event, calm.ends, ahead)})
    lift = mean(predictor, one) / mean(predictor, calm)
    assert lift[0, 3] > 1.7
    np.testing.assert_allclose(lift[1:], 1.0)


def test_chunks_and_order_change_nothing_and_neither_does_storing(predictor):
    planned = world(fairs=FAIRS, sale=(5, 6))
    whole = mean(predictor, planned)
    order = np.random.default_rng(0).permutation(N)
    np.testing.assert_array_equal(mean(predictor, planned.select(order)), whole[order])
    np.testing.assert_array_equal(np.concatenate([mean(predictor, c) for c in planned.chunks(4)]), whole)
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **predictor.to_arrays())
    buffer.seek(0)
    with np.load(buffer, allow_pickle=False) as stored:
        again = BaseLevel().restore({name: stored[name] for name in stored.files})
    np.testing.assert_array_equal(mean(again, planned), whole)


def test_periods_beyond_all_plans_stay_as_they_are(predictor, calm):
    later = calm.until(calm.ends)  # asked for two years, of which only one is laid out
    found = predictor.predict(later, 800).mean()
    assert np.isfinite(found).all()


def test_shared_events_are_explained_by_their_names(predictor):
    found = explain(predictor, world(fairs=FAIRS, sale=(17,)), AHEAD)
    fair = found.units[:, :, found.parts.index(Part("event", "event fair"))]
    sale = found.units[:, :, found.parts.index(Part("event", "shop_sale"))]
    assert (fair[:, FAIRS] > 0.3 * found.mean()[:, FAIRS]).all()
    assert (sale[:, 17] > 0.2 * found.mean()[:, 17]).all()
    assert found.notes == ()


def test_the_effects_of_a_node_add_up_to_what_its_columns_explain(calm):
    calendars = Calendars.of(world(fairs=FAIRS, sale=(17,)))
    fit = calendars.fit(0)
    names = [regressor.name for regressor in fit.aggregates.regressors]
    lift = np.exp(fit.effects[-1, names.index("event fair"), 0])
    assert lift == pytest.approx(2.0, rel=0.15)

"""A model is fitted once on the same data."""

from __future__ import annotations

import numpy as np
import pytest

from shelfwise.domain.panel import Panel
from shelfwise.forecasting.models.base_level import BaseLevel
from shelfwise.services.fitting import fitted


def panel(last: float = 3.0, promotion: list[float] | None = None) -> Panel:
    values = np.random.default_rng(0).poisson(3.0, (4, 60)).astype(float)
    values[0, -1] = last
    return Panel.from_wide(
        values, start="2026-01-01", known_future={"promotion": promotion or [0.0] * 30 + [1.0] * 5 + [0.0] * 40}
    )


@pytest.fixture
def fits(monkeypatch):
    """Count how often the base model is fitted."""
    seen = []
    real = BaseLevel.fit

    def counted(self, panel):
        seen.append(panel)
        return real(self, panel)

    monkeypatch.setattr(BaseLevel, "fit", counted)
    return seen


def test_the_same_data_is_fitted_once_and_answers_alike(shop, fits):
    first = fitted(shop, panel(), "base_level").predict(panel(), 14)
    again = fitted(shop, panel(), "base_level").predict(panel(), 14)
    assert len(fits) == 1
    np.testing.assert_array_equal(again.paths, first.paths)


def test_one_changed_sale_is_fitted_anew(shop, fits):
    fitted(shop, panel(), "base_level")
    fitted(shop, panel(last=9.0), "base_level")
    assert len(fits) == 2


def test_a_covariate_laid_out_further_ahead_is_not_fitted_anew_but_another_past_is(shop, fits):
    near, far = [0.0] * 30 + [1.0] * 5 + [0.0] * 25, [0.0] * 30 + [1.0] * 5 + [0.0] * 300
    fitted(shop, panel(promotion=near), "base_level")
    fitted(shop, panel(promotion=far), "base_level")
    assert len(fits) == 1
    fitted(shop, panel(promotion=[1.0] * 5 + [0.0] * 70), "base_level")
    assert len(fits) == 2


def test_a_stored_model_that_was_damaged_is_fitted_anew(shop, fits):
    fitted(shop, panel(), "base_level")
    with shop.database.write() as connection:
        connection.exec_driver_sql("UPDATE fitted_models SET payload = x'00'")
    fitted(shop, panel(), "base_level")
    assert len(fits) == 2


def test_only_the_newest_models_are_kept(shop):
    for last in range(6):
        fitted(shop, panel(last=float(last)), "seasonal_naive")
    with shop.database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM fitted_models").scalar() == 4

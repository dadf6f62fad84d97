"""What a reader is told where an optional extra is not installed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from shelfwise.domain.errors import ModelError
from shelfwise.domain.panel import Panel
from shelfwise.forecasting.catalog import estimator
from shelfwise.forecasting.extras import extra_needed

OF_CLASSIC = ("auto_ets", "auto_theta", "auto_arima", "auto_ces", "croston_sba", "tsb", "imapa", "prophet")


@pytest.mark.parametrize("name", OF_CLASSIC)
def test_fitting_and_predicting_without_the_extra_name_it_and_how_to_get_it(name, monkeypatch):
    panel = Panel.from_wide([[1.0, 0.0, 2.0]], start="2026-01-01")
    predictor = estimator(name).fit(panel)
    for library in ("statsforecast", "prophet"):
        monkeypatch.setitem(sys.modules, library, None)
    wanted = rf"model {name} needs the extra 'classic'; pip install 'shelfwise\[classic\]'"
    with pytest.raises(ModelError, match=wanted):
        estimator(name).fit(panel)
    with pytest.raises(ModelError, match=wanted):
        predictor.predict(panel, 1)


def test_the_catalog_lists_the_models_of_an_extra_without_importing_its_libraries():
    code = (
        "import sys\n"
        "from shelfwise.forecasting.catalog import MODELS, estimator\n"
        "for name in MODELS: estimator(name)\n"
        "print(*({'statsforecast', 'cmdstanpy', 'pandas', 'numba', 'statsmodels'} & set(sys.modules)), *MODELS)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    listed = result.stdout.split()
    assert set(OF_CLASSIC) <= set(listed)
    assert not {"statsforecast", "cmdstanpy", "pandas", "numba", "statsmodels"} & set(listed)


def test_other_errors_pass_unchanged():
    with pytest.raises(ZeroDivisionError), extra_needed("m", "classic"):
        1 / 0  # noqa: B018 - raising is the point

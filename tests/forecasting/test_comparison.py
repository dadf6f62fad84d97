"""Comparisons: who is best, by how much, and whether that is more than chance."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from shelfwise.domain.errors import ParameterError
from shelfwise.forecasting.comparison import SeriesLosses, beside_the_best

IDS = tuple(f"s{n:03d}" for n in range(200))
CUTOFFS = ("2026-01-31", "2026-02-28")


def losses(model, factor, noise, *, ids=IDS, seed=0, shared_seed=1):
    """One model: losses that follow units sold, times a factor, with noise of its own."""
    found = []
    for number, cutoff in enumerate(CUTOFFS):
        units = np.random.default_rng([shared_seed, number]).gamma(2.0, 10.0, len(ids))
        own = np.random.default_rng([seed, number]).normal(1.0, noise, len(ids))
        found.append(SeriesLosses(model, cutoff, ids, units * 0.5 * factor * own, units))
    return found


def row(frame, model):
    return frame.filter(frame["model"] == model).row(0, named=True)


def test_a_model_that_loses_a_tenth_more_everywhere_is_worse():
    found = beside_the_best([*losses("good", 1.0, 0.1), *losses("bad", 1.1, 0.1, seed=5)])
    assert found["model"].to_list() == ["good", "bad"]
    bad = row(found, "bad")
    assert bad["verdict"] == "worse"
    assert 0 < bad["low"] < bad["difference"] < bad["high"]
    assert bad["closer_share"] < 0.5
    assert bad["series"] == 200
    assert row(found, "good") | {"wql": 0} == {
        "model": "good", "wql": 0, "difference": 0.0, "low": None, "high": None, "series": 200, "closer_share": None,
        "verdict": "best",
    }  # fmt: skip


def test_models_that_differ_by_noise_alone_are_no_clear_difference():
    found = beside_the_best([*losses("one", 1.0, 0.4, seed=2), *losses("other", 1.0, 0.4, seed=3)])
    second = found.row(1, named=True)
    assert second["verdict"] == "no clear difference"
    assert second["low"] < 0 < second["high"]


def test_the_comparison_is_paired():
    """The same small difference is clear between models that err alike, and lost between those that do not."""
    alike = beside_the_best([*losses("one", 1.0, 0.5, seed=2), *losses("other", 1.02, 0.5, seed=2)])
    apart = beside_the_best([*losses("one", 1.0, 0.5, seed=2), *losses("other", 1.02, 0.5, seed=3)])
    assert row(alike, "other")["verdict"] == "worse"
    assert row(alike, "other")["low"] == pytest.approx(row(alike, "other")["high"])
    assert row(apart, apart["model"][1])["verdict"] == "no clear difference"


def test_the_interval_holds_its_share_of_the_truth():
    """Of many panels drawn from one world, about 95 % of the intervals hold the world's own difference."""
    held = []
    for seed in range(120):
        given = [
            *losses("one", 1.0, 0.4, seed=2 * seed, shared_seed=seed),
            *losses("other", 1.1, 0.4, seed=2 * seed + 1, shared_seed=seed),
        ]
        found = beside_the_best(given, seed=seed, resamples=300)
        second = found.row(1, named=True)
        truth = 0.1 if second["model"] == "other" else 1 / 1.1 - 1
        held.append(second["low"] <= truth <= second["high"])
    assert 0.88 <= np.mean(held) <= 0.99


def test_wql_is_the_mean_over_cutoffs_of_losses_over_units():
    given = losses("one", 1.0, 0.2)
    expected = np.mean([each.losses.sum() / each.units.sum() for each in given])
    assert beside_the_best(given)["wql"].item() == pytest.approx(expected)


def test_order_changes_nothing_and_the_seed_is_all_the_chance():
    given = [*losses("one", 1.0, 0.3, seed=2), *losses("other", 1.03, 0.3, seed=3)]
    shuffle = np.random.default_rng(0).permutation(len(IDS))
    shuffled = [
        replace(each, ids=tuple(IDS[i] for i in shuffle), losses=each.losses[shuffle], units=each.units[shuffle])
        for each in reversed(given)
    ]
    first = beside_the_best(given, seed=4)
    assert first.equals(beside_the_best(given, seed=4))
    other = beside_the_best(shuffled, seed=4)
    for name in ("wql", "difference", "low", "high"):
        np.testing.assert_allclose(first[name].fill_null(0), other[name].fill_null(0), rtol=1e-12)
    assert not first["low"].equals(beside_the_best(given, seed=5)["low"])


def test_with_a_handful_of_series_no_interval_is_given():
    few = beside_the_best([*losses("one", 1.0, 0.1, ids=IDS[:9]), *losses("other", 2.0, 0.1, ids=IDS[:9])])
    assert row(few, "other")["low"] is None
    assert row(few, "other")["verdict"] == "too few series"
    enough = beside_the_best([*losses("one", 1.0, 0.1, ids=IDS[:10]), *losses("other", 2.0, 0.1, ids=IDS[:10])])
    assert row(enough, "other")["verdict"] == "worse"


def test_a_series_that_is_not_at_every_cutoff_counts_where_it_is():
    one, other = losses("one", 1.0, 0.1), losses("other", 1.5, 0.1, seed=3)
    for each in (one, other):
        each[0] = replace(each[0], ids=IDS[:150], losses=each[0].losses[:150], units=each[0].units[:150])
    found = beside_the_best([*one, *other])
    assert found["series"].to_list() == [200, 200]
    assert row(found, "other")["verdict"] == "worse"


def test_ties_count_half():
    same = losses("one", 1.0, 0.1)
    found = beside_the_best([*same, *(replace(each, model="twin") for each in same)])
    twin = row(found, "twin")
    assert (twin["difference"], twin["closer_share"], twin["verdict"]) == (0.0, 0.5, "no clear difference")


def test_models_that_were_not_asked_the_same_are_not_compared():
    with pytest.raises(ParameterError, match="model other has no score at cutoff 2026-02-28"):
        beside_the_best([*losses("one", 1.0, 0.1), losses("other", 1.0, 0.1)[0]])
    with pytest.raises(ParameterError, match="200 ids do not fit 3 losses"):
        SeriesLosses("one", "2026-01-31", IDS, np.zeros(3), np.zeros(200))


def test_nothing_sold_and_nothing_given_are_no_fault():
    still = [SeriesLosses("one", "2026-01-31", IDS, np.zeros(200), np.zeros(200))]
    assert beside_the_best(still)["wql"].to_list() == [None]
    assert beside_the_best([]).height == 0

"""The Python door: frames in, forecasts out, and the store from a notebook."""

import datetime as dt
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

import shelfwise as sw
from shelfwise.domain.errors import PanelError, ParameterError

DAYS = [dt.date(2025, 1, 6) + dt.timedelta(days=n) for n in range(140)]
UNITS = np.random.default_rng(0).poisson([[3 + 4 * (d.weekday() == 5) for d in DAYS], [8] * 140])
HISTORY = pl.DataFrame({"unique_id": ["a"] * 140 + ["b"] * 140, "ds": DAYS * 2, "y": UNITS.reshape(-1).astype(float)})


def test_a_forecast_has_the_promised_shapes() -> None:
    ahead = sw.forecast(HISTORY, horizon=14, n_paths=50)
    assert ahead.quantiles([0.1, 0.5, 0.9]).shape == (2, 14, 3)
    assert ahead.mean().shape == (2, 14)
    assert ahead.total(7).shape == (2, 50)
    assert ahead.paths.shape == (2, 50, 14)
    frame = ahead.to_frame([0.1, 0.9])
    assert frame.columns == ["unique_id", "ds", "mean", "q0.1", "q0.9"]
    assert frame["ds"].min() == DAYS[-1] + dt.timedelta(days=1)


def test_the_weekly_shape_is_found() -> None:
    frame = sw.forecast(HISTORY, horizon=14).to_frame().filter(pl.col("unique_id") == "a")
    saturday = frame.filter(pl.col("ds").dt.weekday() == 6)["mean"].mean()
    others = frame.filter(pl.col("ds").dt.weekday() != 6)["mean"].mean()
    assert saturday > 1.5 * others


def test_pandas_polars_and_a_panel_give_the_same_forecast() -> None:
    frame = pd.DataFrame({name: HISTORY[name].to_list() for name in HISTORY.columns})
    frame["ds"] = pd.to_datetime(frame["ds"])
    paths = sw.forecast(HISTORY, horizon=7).paths
    np.testing.assert_array_equal(sw.forecast(frame, horizon=7).paths, paths)
    np.testing.assert_array_equal(sw.forecast(sw.Panel.from_long(HISTORY, freq="1d"), horizon=7).paths, paths)


def test_the_same_seed_gives_the_same_paths_and_another_others() -> None:
    paths = sw.forecast(HISTORY, horizon=7, seed=1).paths
    np.testing.assert_array_equal(sw.forecast(HISTORY, horizon=7, seed=1).paths, paths)
    assert (sw.forecast(HISTORY, horizon=7, seed=2).paths != paths).any()


def test_a_promotion_known_ahead_lifts_its_days() -> None:
    lifted = HISTORY.with_columns(promo=(pl.col("ds").dt.day() <= 4).cast(pl.Float64)).with_columns(
        y=pl.col("y") * (1 + 2 * pl.col("promo"))
    )
    coming = [DAYS[-1] + dt.timedelta(days=n) for n in range(1, 15)]
    future = pl.DataFrame({"ds": coming, "promo": [1.0] * 7 + [0.0] * 7})
    mean = sw.forecast(lifted, horizon=14, known_future=future).mean()
    assert (mean[:, :7].sum(axis=1) > 1.5 * mean[:, 7:].sum(axis=1)).all()


@pytest.mark.parametrize("beside", [{"known_future": HISTORY}, {"past_only": ["y"]}, {"static": HISTORY}])
def test_covariates_beside_a_panel_are_refused(beside) -> None:
    panel = sw.Panel.from_long(HISTORY, freq="1d")
    with pytest.raises(ParameterError, match="beside a Panel"):
        sw.forecast(panel, **beside)
    with pytest.raises(ParameterError, match="beside a Panel"):
        sw.backtest(panel, **beside)


def test_an_unknown_model_is_refused_with_those_there_are() -> None:
    with pytest.raises(ParameterError, match="seasonal_naive"):
        sw.forecast(HISTORY, model="seasonal_naiv")


def test_a_backtest_scores_every_model_at_every_cutoff() -> None:
    done = sw.backtest(HISTORY, horizon=14, n_cutoffs=3)
    assert done.scores.select("model", "cutoff").unique().height == 6
    assert set(done.summary()["model"]) == {"auto", "seasonal_naive"}


def test_a_backtest_tells_the_parts_of_the_horizon_apart_compares_and_draws() -> None:
    done = sw.backtest(HISTORY, ["base_level", "seasonal_naive"], horizon=14, n_cutoffs=2)
    by_class = done.summary(by_class=True)
    assert by_class["horizon_class"].unique(maintain_order=True).to_list() == ["all", "short", "medium", "long"]
    assert done.comparison("short")["verdict"].to_list()[0] == "best"
    assert done.chart().startswith("<svg")


def test_a_backtest_that_is_interrupted_goes_on_from_its_file(tmp_path: Path) -> None:
    asked = {"models": ["base_level", "seasonal_naive"], "horizon": 14, "n_cutoffs": 3}
    steps: list[str] = []

    def stop(step: str, done: int, _total: int) -> None:
        steps.append(step)
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sw.backtest(HISTORY, **asked, progress=stop, resume=tmp_path / "scores.db")
    whole = sw.backtest(HISTORY, **asked, resume=tmp_path / "scores.db")
    assert whole.rows.drop("seconds").equals(sw.backtest(HISTORY, **asked).rows.drop("seconds"))
    with sw.Store.open(tmp_path / "scores.db") as store:
        (row,) = store.backtests().rows(named=True)
    assert (row["scores"], row["of"], row["finished"]) == (6, 6, True)


def test_a_store_goes_from_a_file_to_a_purchase_order(tmp_path: Path) -> None:
    rows = HISTORY.filter(pl.col("y") > 0).select(date="ds", sku="unique_id", units="y")
    rows.write_csv(tmp_path / "sales.csv")
    (tmp_path / "products.csv").write_text("sku,name,supplier,cost,price\na,Beans,S1,2,5\nb,Cups,S1,1,4\n")
    (tmp_path / "stock.csv").write_text("sku,on_hand,as_of\na,10,2025-05-26\nb,5,2025-05-26\n")
    with sw.Store.open(tmp_path / "shop.db", default_lead_time_days=5) as store:
        done = store.import_files(*(tmp_path / f"{name}.csv" for name in ("sales", "products", "stock")))
        assert done.written
        assert store.panel().n_series == 2
        assert store.forecast(7).paths.shape == (2, 200, 7)
        lines = store.orders()
        assert lines["product"].to_list() == ["b", "a"]
        assert "safety" in store.why("Beans")[0].line["arithmetic"]
        assert store.risks(correct=False).table.height == 2
        answer = store.what_if(demand={"Beans": 1.5}, lead_time=2, save="rush")
        assert answer.asked == ("demand of a +50 %", "lead time +2 days")
        assert store.scenarios()["scenario"].to_list() == ["rush"]
        assert store.scenario("rush").total("lost_units") == answer.total("lost_units")
        (number,) = store.approve("all")
        assert store.purchase_orders("draft")["quantity"].sum() == lines["quantity"].sum()
        assert store.orders().height == 0
        store.send(number, dt.date(2025, 5, 26))
        received = store.receive(number, {"a": 3}, received_on=dt.date(2025, 5, 30))
        assert received["quantity"].to_list() == [3.0]
        on_hand = dict(store.products().select("product", "on_hand").iter_rows())
        assert on_hand == {"a": 13.0, "b": 5.0}


def test_weekly_sums_are_not_read_as_days() -> None:
    weeks = [dt.date(2026, 1, 5) + dt.timedelta(days=7 * n) for n in range(20)]
    history = pl.DataFrame({"unique_id": ["A"] * 20, "ds": weeks, "y": [float(n % 5) for n in range(20)]})
    with pytest.raises(PanelError, match="closer than 7 periods.*give the right freq"):
        sw.forecast(history, horizon=4)
    assert sw.forecast(history, horizon=4, freq="1w").mean().shape == (1, 4)


def test_past_only_takes_names_and_refuses_a_table() -> None:
    days = [dt.date(2026, 1, 1) + dt.timedelta(days=n) for n in range(30)]
    history = pl.DataFrame({"unique_id": ["A"] * 30, "ds": days, "y": [3.0] * 30})
    with pytest.raises(PanelError, match="past_only takes names of columns"):
        sw.forecast(history, horizon=4, past_only=history)


def test_a_covariate_without_a_past_or_a_whole_future_is_noted():
    days = [dt.date(2026, 1, 1) + dt.timedelta(days=n) for n in range(60)]
    history = pl.DataFrame({"unique_id": "a", "ds": days, "y": [float(n % 5) for n in range(60)]})
    week = pl.DataFrame({"ds": [days[-1] + dt.timedelta(days=n) for n in range(1, 8)], "promotion": [1.0] * 7})
    notes = sw.forecast(history, horizon=14, known_future=week, model="base_level").provenance.notes
    assert "known_future 'promotion' is missing in 50% of the coming periods" in notes
    assert any("'promotion' has no past" in note for note in notes)
    whole = history.with_columns(promotion=pl.Series([float(n % 9 == 0) for n in range(60)]))
    ahead = pl.DataFrame({"ds": [days[-1] + dt.timedelta(days=n) for n in range(1, 15)], "promotion": [1.0] * 14})
    told = sw.forecast(whole, horizon=14, known_future=ahead, model="base_level").provenance.notes
    assert not any("known_future" in note for note in told)


def test_an_event_that_no_history_has_is_noted_and_assumed_to_do_nothing():
    days = [dt.date(2026, 1, 1) + dt.timedelta(days=n) for n in range(60)]
    history = pl.DataFrame({"unique_id": "a", "ds": days, "y": [float(3 + n % 5) for n in range(60)]})
    known = {"promotion": [1.0] * 14, "event": ["fair"] * 7 + ["none"] * 7}
    ahead = pl.DataFrame({"ds": [days[-1] + dt.timedelta(days=n) for n in range(1, 15)], **known})
    never = history.with_columns(promotion=pl.lit(0.0), event=pl.lit("none"))
    made = sw.forecast(never, horizon=14, known_future=ahead)
    assert any("'promotion' is up in coming periods and never was" in note for note in made.provenance.notes)
    assert any("'event' says 'fair' ahead, which no history has" in note for note in made.provenance.notes)
    calm = ahead.with_columns(promotion=pl.lit(0.0), event=pl.lit("none"))
    np.testing.assert_allclose(made.mean(), sw.forecast(never, horizon=14, known_future=calm).mean())
    rows = sw.lifts(never, horizon=14, known_future=ahead, model="base_level")
    assert rows.filter(pl.col("name") == "promotion")["note"].to_list() == [
        "never seen, so its effect cannot be learnt and none is assumed"
    ]


def test_a_forecast_is_explained_from_a_frame_and_adds_up():
    days = [dt.date(2026, 1, 1) + dt.timedelta(days=n) for n in range(120)]
    promoted = [float(n % 17 == 0) for n in range(120)]
    units = [round(5 + 4 * up + (day.weekday() == 5)) for up, day in zip(promoted, days, strict=True)]
    history = pl.DataFrame({"unique_id": "a", "ds": days, "y": [float(u) for u in units], "promotion": promoted})
    ahead = pl.DataFrame({"ds": [days[-1] + dt.timedelta(days=n) for n in range(1, 8)], "promotion": [0.0] * 6 + [1.0]})
    made_of = sw.explain(history, horizon=7, known_future=ahead, model="base_level")
    mean = sw.forecast(history, horizon=7, known_future=ahead, model="base_level").mean()
    frame = made_of.to_frame()
    np.testing.assert_allclose(frame.group_by("ds", maintain_order=True).agg(pl.col("units").sum())["units"], mean[0])
    promotion = frame.filter(pl.col("kind") == "promotion")["units"].to_list()
    assert promotion[:6] == [0.0] * 6
    assert promotion[6] > 1.5
    row = sw.lifts(history, horizon=7, known_future=ahead, model="base_level").row(0, named=True)
    assert (row["kind"], row["periods"], row["dates"], row["series"]) == ("promotion", 8, 8, 1)
    assert row["low"] < row["lift"] < row["high"]
    assert row["forecast_lift"] > 1.3


def test_a_replay_can_tune_ours_as_it_goes() -> None:
    weeks = pl.date_range(dt.date(2025, 1, 6), dt.date(2026, 3, 2), interval="1w", eager=True)
    history = pl.DataFrame({"unique_id": "beans", "ds": weeks, "y": [float(6 + n % 3) for n in range(len(weeks))]})
    done = sw.replay(["moving_average", "optimise"], history, rounds=2, model="base_level", n_paths=30, tune=True)
    assert done.summary()["policy"].to_list() == ["moving_average", "optimise", "tuned"]
    assert any(note.startswith("tuned took from round 1 on") for note in done.notes)


def test_stock_is_counted_moved_and_corrected_from_python(tmp_path: Path) -> None:
    (tmp_path / "sales.csv").write_text("date,sku,units,line id\n2025-05-26,tea,4,1\n")
    with sw.Store.open(tmp_path / "shop.db") as store:
        store.import_files(tmp_path / "sales.csv", warehouse="shop")
        store.count("tea", 20, at=dt.date(2025, 5, 26), reason="first count", id="c1")
        assert store.count("tea", 20, at=dt.date(2025, 5, 26), reason="first count", id="c1").repeated
        store.count("tea", 5, warehouse="cellar", new_warehouse=True, at=dt.date(2025, 5, 26))
        store.adjust("tea", -1, reason="broken", warehouse="shop")
        store.transfer("tea", 2, origin="cellar", destination="shop")
        assert dict(store.stock("tea").select("warehouse", "on_hand").iter_rows()) == {"shop": 17.0, "cellar": 3.0}
        line = store.history("tea", "shop").filter(pl.col("kind") == "sale")["line"].item()
        done = store.correct(line, reason="it was three", quantity=3)
        assert store.stock("tea", "shop")["on_hand"].to_list() == [18.0]
        store.revert(done.number, reason="it was four after all")
        assert store.stock("tea", "shop")["on_hand"].to_list() == [17.0]


def test_a_file_corrects_booked_lines_from_python_where_that_is_asked_for(tmp_path: Path) -> None:
    for name, units in (("first.csv", 4), ("later.csv", 3)):
        (tmp_path / name).write_text(f"date,sku,units,line id\n2025-05-26,tea,{units},1\n2025-05-27,tea,1,2\n")
    with sw.Store.open(tmp_path / "shop.db") as store:
        store.import_files(tmp_path / "first.csv")
        assert store.import_files(tmp_path / "later.csv").differing == 1
        assert store.import_files(tmp_path / "later.csv", correct=True).corrected == 1
        assert sorted(store.history("tea").filter(pl.col("holds"))["quantity"]) == [1.0, 3.0]


def test_an_import_profile_is_listed_and_forgotten_from_python(tmp_path: Path) -> None:
    (tmp_path / "till.csv").write_text("Belegtag,Artikelcode,Abgang\n2025-05-26,tea,4\n")
    columns = {"date": "Belegtag", "sku": "Artikelcode", "units": "Abgang"}
    with sw.Store.open(tmp_path / "shop.db") as store:
        store.import_files(tmp_path / "till.csv", columns=columns, save_as="till")
        assert store.profiles()["profile"].to_list() == ["till"]
        store.forget_profile("till")
        assert store.profiles().is_empty()
        with pytest.raises(sw.ShelfwiseError, match="till"):
            store.forget_profile("till")

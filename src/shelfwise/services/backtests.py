"""Backtests and comparisons of models on the store's own past, saved score by score; none is worked out twice.

A score is saved as soon as a model is through at a cutoff. The same question asked again, of the same data with the
same parameters, takes what is there and works out the rest: after Ctrl-C, after a crash, or with one more model.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import polars as pl

from shelfwise.app import App
from shelfwise.domain.calendar import Frequency
from shelfwise.domain.errors import DataError, ExportError, ModelError, NotFound, ParameterError, StorageError
from shelfwise.domain.panel import Panel
from shelfwise.forecasting import backtest as backtesting
from shelfwise.forecasting.backtest import Backtest, Failure, Part
from shelfwise.forecasting.catalog import MODELS, estimator
from shelfwise.services import demand, jobs
from shelfwise.services.fitting import described, panel_fingerprint
from shelfwise.services.job_kinds import BACKTEST
from shelfwise.services.jobs import Job
from shelfwise.storage import backtests as kept_backtests

Progress = Callable[[str, int, int], None]

YARDSTICK: Final = "seasonal_naive"
_LISTED: Final[dict[str, pl.DataType]] = {
    "backtest": pl.Int64(), "created_at": pl.Datetime("us"), "models": pl.String(), "horizon": pl.Int64(),
    "cutoffs": pl.Int64(), "series": pl.Int64(), "data_until": pl.String(), "finished": pl.Boolean(),
    "scores": pl.Int64(), "of": pl.Int64(), "best": pl.String(), "wql": pl.Float64(),
}  # fmt: skip
_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class SavedBacktest:
    """A backtest as it is saved.

    Parameters
    ----------
    number
        By which `show` finds it again.
    created_at
        When it was first asked for, shop time.
    models
        Names, in the order they were asked for.
    cutoffs, step
        Number of cutoffs and periods between them.
    series
        Series that were forecast.
    data_until
        Last day of the data.
    products
        Products it was limited to; None for every live one.
    result
        The scores.
    reused
        Scores that an earlier run had left, and that were not worked out again.
    finished
        False while scores are missing that no failure explains.
    """

    number: int
    created_at: datetime
    models: tuple[str, ...]
    cutoffs: int
    step: int
    series: int
    data_until: date | None
    products: tuple[str, ...] | None
    result: Backtest
    reused: int = 0
    finished: bool = True


def beside_the_yardstick(models: Sequence[str]) -> list[str]:
    """Return the models and seasonal naive, which every model should beat.

    >>> beside_the_yardstick(["auto"])
    ['auto', 'seasonal_naive']
    """
    return list(dict.fromkeys([*models, YARDSTICK]))


def compared_by_default(model: str = "auto") -> list[str]:
    """Return a model, what it is put together from, and seasonal naive at the end; none is named twice.

    >>> compared_by_default("base_level")
    ['base_level', 'auto', 'seasonal_naive']
    """
    names = [model, "auto", *(name for name in _put_together_from(estimator(model)) if name in MODELS)]
    found: dict[str, str] = {}
    for name in names:
        found.setdefault(described(estimator(name)), name)
    return [*(name for name in found.values() if name != YARDSTICK), YARDSTICK]


def _put_together_from(model: Any) -> list[str]:
    """Return the names of the models that a model wraps or combines, down to those that stand alone."""
    inside = (*((model.inner,) if hasattr(model, "inner") else ()), *getattr(model, "members", ()))
    return [name for each in inside for name in (_put_together_from(each) or [each.name])]


def every_model(model: str = "auto") -> list[str]:
    """Return every model of the catalog, those of `compared_by_default` first."""
    first = compared_by_default(model)
    seen = {described(estimator(name)) for name in first}
    return [*first, *(name for name in MODELS if described(estimator(name)) not in seen)]


def run(
    app: App,
    *,
    models: Sequence[str] | None = None,
    horizon: int | None = None,
    cutoffs: int = 4,
    step: int | None = None,
    products: Sequence[str] | None = None,
    fresh: bool = False,
    progress: Progress | None = None,
) -> SavedBacktest:
    """Score models on the store's own past: at each cutoff they see only what was known then.

    The models are fitted on all series, as for a forecast, and scored on the live ones or on the products asked for.

    Parameters
    ----------
    models
        Names of models; None takes the model of the settings and seasonal naive.
    horizon
        Days H after each cutoff; None takes the setting.
    cutoffs, step
        Number of cutoffs and days between them; None puts one horizon between.
    products
        Product codes or names; None for every live one.
    fresh
        Work everything out anew, whatever is saved.
    progress
        Called with what is being done, scores done and scores in all.

    Raises
    ------
    ParameterError
        A model is not known, or the history is too short.
    DataError
        The store has no sales, or nothing that can be scored.
    NotFound
        A product is not in the store.
    ModelError
        Every model failed.
    """
    settings = app.settings
    tell = progress or _silent
    tell("reading the demand", 0, 0)
    known = demand.load(app)
    wanted = known.live(settings.live_days) if products is None else known.only(products)
    return run_on(
        app,
        known.panel,
        list(models) if models else beside_the_yardstick([settings.model]),
        horizon=settings.horizon if horizon is None else horizon,
        cutoffs=cutoffs,
        step=step,
        n_paths=settings.n_paths,
        seed=settings.seed,
        only=wanted.panel.ids.to_list(),
        products=products,
        fresh=fresh,
        progress=progress,
    )


def start(app: App, asked: Mapping[str, Any], *, request_id: str | None = None) -> Job:
    """Queue a backtest and return its job, or the one in the queue that asks the very same.

    Parameters
    ----------
    asked
        Arguments of `run`: ``models``, ``horizon``, ``cutoffs``, ``step``, ``products``, ``fresh``.

    Raises
    ------
    ParameterError
        There is no such model.
    """
    for name in asked.get("models", ()):
        estimator(name)
    return jobs.ask(app, BACKTEST, asked, jobs.subject_of(asked), request_id=request_id)


def run_on(
    app: App,
    panel: Panel,
    models: Sequence[str],
    *,
    horizon: int,
    cutoffs: int,
    step: int | None = None,
    n_paths: int = 200,
    seed: int = 0,
    only: Sequence[str] | None = None,
    products: Sequence[str] | None = None,
    fresh: bool = False,
    progress: Progress | None = None,
) -> SavedBacktest:
    """Run a backtest of any panel, with its scores saved in the app's database; see `run`."""
    if not models:
        raise ParameterError("a backtest needs at least 1 model, got none; name one, for example auto")
    step = horizon if step is None else step
    # Refused before anything is saved: a run of windows that cannot be cut is none.
    next(backtesting.windows(panel, horizon, cutoffs, step), None)
    names = list(dict.fromkeys(models))
    setup = _hash(version("shelfwise"), panel_fingerprint(panel), only, horizon, cutoffs, step, n_paths, seed)
    prints = {name: _hash(setup, described(estimator(name))) for name in names}
    until = panel.data_until
    parameters = {
        "models": names, "horizon": horizon, "frequency": [panel.freq.count, panel.freq.unit, panel.freq.anchor],
        "cutoffs": cutoffs, "step": step, "n_paths": n_paths, "seed": seed,
        "series": panel.n_series if only is None else len(only),
        "products": None if products is None else list(products),
        "data_until": None if until is None else until.date().isoformat(), kept_backtests.PARTS: prints,
    }  # fmt: skip
    known = {} if fresh else _known(app, prints)
    with app.database.write() as connection:
        if fresh:
            kept_backtests.forget_parts(connection, prints.values())
        number = kept_backtests.begin(connection, _hash(setup, names), parameters=parameters, created_at=app.now())
    try:
        result = backtesting.backtest(
            panel,
            names,
            horizon=horizon,
            n_cutoffs=cutoffs,
            step=step,
            n_paths=n_paths,
            seed=seed,
            only=only,
            progress=progress,
            kept=known,
            on_part=lambda part: _save(app, prints[part.model], part),
        )
    except (DataError, ModelError):  # there is nothing to score, or no model that can
        delete(app, number)
        raise
    with app.database.write() as connection:
        kept_backtests.finish(connection, number, _summary(result))
    return _saved(app, number, result, reused=len(known.keys() & {(p.model, p.cutoff) for p in result.parts}))


def _hash(*words: object) -> str:
    return sha256(repr(words).encode()).hexdigest()


def listed(app: App) -> pl.DataFrame:
    """Return the saved backtests, the newest first: what was asked, how far each is, and the best model."""
    with app.database.read() as connection:
        runs, parts = kept_backtests.runs(connection), kept_backtests.cutoffs_of_parts(connection)
    rows = []
    for each in runs:
        asked, summary = each.parameters, each.summary or {}
        rows.append(
            {
                "backtest": each.id, "created_at": each.created_at, "models": ", ".join(asked["models"]),
                "horizon": asked["horizon"], "cutoffs": asked["cutoffs"], "series": asked["series"],
                "data_until": asked["data_until"], "finished": each.summary is not None,
                "scores": sum(parts.get(one, 0) for one in asked[kept_backtests.PARTS].values()),
                "of": asked["cutoffs"] * len(asked["models"]), "best": summary.get("best"), "wql": summary.get("wql"),
            }
        )  # fmt: skip
    return pl.DataFrame(rows, schema=_LISTED, orient="row").with_columns(pl.col("data_until").str.to_date())


def show(app: App, number: int) -> SavedBacktest:
    """Return a saved backtest with its scores, or with those it has if it was cut off.

    Raises
    ------
    NotFound
        There is no such backtest, or it has no score yet.
    """
    with app.database.read() as connection:
        asked = kept_backtests.run(connection, number)
    names, prints = asked.parameters["models"], asked.parameters[kept_backtests.PARTS]
    known = _known(app, prints)
    cutoffs = sorted({cutoff for _, cutoff in known})
    parts = [known[name, cutoff] for cutoff in cutoffs for name in names if (name, cutoff) in known]
    if not parts:
        raise NotFound(f"backtest {number} was cut off before its first score; run it again")
    failures = tuple(Failure(**each) for each in (asked.summary or {}).get("failures", ()))
    freq = Frequency(*asked.parameters["frequency"])
    result = Backtest(tuple(parts), asked.parameters["horizon"], freq, failures, asked.parameters["seed"])
    return _saved(app, number, result, reused=len(parts))


def delete(app: App, number: int) -> None:
    """Delete a saved backtest; scores that another one has stay.

    Raises
    ------
    NotFound
        There is no such backtest.
    """
    with app.database.write() as connection:
        kept_backtests.remove(connection, number)


def check_chart_file(path: Path) -> Path:
    """Return where a chart is to be written, or say before the work why it cannot be.

    Raises
    ------
    ParameterError
        The name does not end in ``.svg``.
    ExportError
        Its folder is not there.
    """
    if path.suffix.lower() != ".svg":
        raise ParameterError(f"a chart is written as SVG, got {str(path)!r}; give a name that ends in .svg")
    if not path.absolute().parent.is_dir():
        raise ExportError(f"{path}: there is no folder {str(path.parent)!r}; make it, or name another")
    return path


def write_chart(done: Backtest, path: Path) -> Path:
    """Write the chart of a backtest, in place of a file of that name.

    Raises
    ------
    ExportError
        It cannot be written there.
    """
    try:
        check_chart_file(path).write_text(done.chart(), encoding="utf-8")
    except OSError as error:
        raise ExportError(
            f"{path} cannot be written: {error.strerror or error}; free some space or choose a folder you may write to"
        ) from error
    return path


def _known(app: App, prints: dict[str, str]) -> dict[tuple[str, str], Part]:
    """Return what is saved of models, by model and cutoff."""
    with app.database.read() as connection:
        payloads = kept_backtests.parts(connection, prints.values())
    found: dict[tuple[str, str], Part] = {}
    for name, fingerprint in prints.items():
        for (of, cutoff), payload in payloads.items():
            if of == fingerprint:
                try:
                    found[name, cutoff] = Part.from_bytes(payload).named(name)
                except DataError as error:  # what is saved can always be worked out again
                    _log.warning("saved scores are not used: %s", error)
    return found


def _save(app: App, fingerprint: str, part: Part) -> None:
    try:
        with app.database.write() as connection:
            kept_backtests.save_part(
                connection, fingerprint, part.cutoff, payload=part.to_bytes(), created_at=app.now()
            )
    except StorageError as error:  # a full disk must not keep the scores from the one who asked
        _log.warning("a score was not saved: %s", error)


def _summary(result: Backtest) -> dict[str, Any]:
    compared = result.comparison()
    best = compared.row(0, named=True) if compared.height else {"model": None, "wql": None}
    failures = [{"model": f.model, "cutoff": f.cutoff, "reason": f.reason} for f in result.failures]
    return {"best": best["model"], "wql": best["wql"], "failures": failures}


def _saved(app: App, number: int, result: Backtest, *, reused: int) -> SavedBacktest:
    with app.database.read() as connection:
        asked = kept_backtests.run(connection, number)
    known = asked.parameters
    return SavedBacktest(
        number=number,
        created_at=asked.created_at,
        models=tuple(known["models"]),
        cutoffs=known["cutoffs"],
        step=known["step"],
        series=known["series"],
        data_until=None if known["data_until"] is None else date.fromisoformat(known["data_until"]),
        products=None if known["products"] is None else tuple(known["products"]),
        result=result,
        reused=reused,
        finished=asked.summary is not None,
    )


def _silent(_step: str, _done: int, _total: int) -> None:
    return None

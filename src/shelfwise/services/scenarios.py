"""Scenarios: what-if answers that were given a name, listed, compared, asked again, promoted to the plan.

A scenario belongs to the plan it was asked of. When that plan has been renewed, its quantities answer another day:
then it is asked again before it is promoted.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from shelfwise.app import App
from shelfwise.domain import words
from shelfwise.domain.errors import ConflictError, ParameterError
from shelfwise.services import decisions, planning
from shelfwise.services.what_if import SHOP_MEASURES, Answer, Progress, ask
from shelfwise.services.what_if_questions import Question
from shelfwise.storage import scenarios
from shelfwise.storage.scenarios import Scenario

REASON: Final = "scenario "
"""How the reason of an edit begins that a promoted scenario has made; its name follows."""

LITTLE: Final = 0.05
"""Money or units below this are not worth a word."""

_DECIDABLE: Final = ("proposed", "edited", "snoozed")
_LISTED: Final = {
    "scenario": pl.String(), "asked": pl.String(), "plan": pl.Int64(), "as_of": pl.Date(), "spend": pl.Float64(),
    "lost_units": pl.Float64(), "stock_value": pl.Float64(), "by": pl.String(), "at": pl.Datetime("us"),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two scenarios side by side.

    totals
        ``measure, base, a, b, difference``: the base of the first, and b less a.
    lines
        The lines that the two order differently: ``unique_id, name, base_quantity, a, b, difference`` in units, the
        largest difference in money first.
    notes
        Why the two may not compare.
    """

    totals: pl.DataFrame
    lines: pl.DataFrame
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Promoted:
    """What became of a scenario's quantities: lines edited, and lines that were decided already and stay."""

    run_id: int
    edited: tuple[str, ...]
    left: tuple[str, ...]


def save(app: App, name: str, answer: Answer, *, replace: bool = False) -> None:
    """Keep an answer under a name.

    Raises
    ------
    ParameterError
        The name is empty or too long.
    ConflictError
        The name is taken and ``replace`` was not said.
    """
    summary = {
        "asked": list(answer.asked),
        "as_of": answer.as_of.isoformat(),
        "days": answer.days,
        "totals": answer.totals.to_dicts(),
        "notes": list(answer.notes),
    }
    with app.database.write() as connection:
        scenarios.save(
            connection,
            Scenario(
                name=name.strip(),
                run_id=answer.run_id,
                edits=answer.question.to_json(),
                summary=summary,
                lines=answer.lines.to_dicts(),
                created_by=decisions.decider(),
                created_at=app.now(),
            ),
            replace=replace,
        )


def create(app: App, name: str, question: Question, *, replace: bool = False) -> Answer:
    """Ask a question of the plan that holds, and keep the answer under a name.

    Raises
    ------
    ParameterError
        Nothing is asked, the question breaks a rule, or the name is empty or too long.
    NotFound
        The question names something that is not in the store.
    ConflictError
        The name is taken and ``replace`` was not said; nothing was worked out.
    """
    if question.is_empty:
        raise ParameterError("a scenario changes something: demand, lead_time, closed, budget, service_level, ...")
    with app.database.read() as connection:
        taken = {one.name for one in scenarios.every(connection)}
    if name.strip() in taken and not replace:
        raise ConflictError(f"there is a scenario {name.strip()!r} already; take another name or replace it")
    answer = ask(app, question)
    save(app, name, answer, replace=replace)
    return answer


def shown(app: App, name: str) -> Answer:
    """Return a saved answer; `NotFound` where there is none of that name."""
    return _answer(_kept(app, name))


def listed(app: App) -> pl.DataFrame:
    """Return the scenarios, the newest first.

    Columns: ``scenario``, ``asked`` in words, ``plan`` and its day ``as_of``, the differences that they make in
    ``spend``, ``lost_units`` and ``stock_value``, ``by`` whom and ``at`` when they were saved.
    """
    with app.database.read() as connection:
        every = scenarios.every(connection)
    rows = []
    for one in every:
        answer = _answer(one)
        change = {name: answer.total(name)[2] for name in ("spend", "lost_units", "stock_value")}
        rows.append(
            {
                "scenario": one.name, "asked": "; ".join(answer.asked), "plan": one.run_id, "as_of": answer.as_of,
                **change, "by": one.created_by, "at": one.created_at,
            }
        )  # fmt: skip
    return pl.DataFrame(rows, schema=_LISTED)


def compare(app: App, first: str, second: str) -> Comparison:
    """Return two scenarios side by side; `NotFound` where there is none of such a name."""
    a, b = shown(app, first), shown(app, second)
    totals = a.totals.select("measure", "base", a="scenario").with_columns(
        b=b.totals["scenario"], difference=b.totals["scenario"] - a.totals["scenario"]
    )
    lines = (
        a.lines.select("unique_id", "name", "base_quantity", a="quantity", spend_a="spend")
        .join(b.lines.select("unique_id", b="quantity", spend_b="spend"), on="unique_id", maintain_order="left")
        .with_columns(
            difference=pl.col("b") - pl.col("a"), money=(pl.col("spend_b") - pl.col("spend_a")).abs().fill_null(0.0)
        )
        .filter(pl.col("difference") != 0)
        .sort(["money", "unique_id"], descending=[True, False])
        .drop("money", "spend_a", "spend_b")
    )
    notes = []
    if a.run_id != b.run_id:
        notes.append(
            f"{first} was asked of plan {a.run_id} of {a.as_of}, {second} of plan {b.run_id} of {b.as_of}: part of the "
            "difference is the days between; `shelfwise whatif again NAME` asks one again"
        )
    return Comparison(totals, lines, tuple(notes))


def again(app: App, name: str, *, progress: Progress | None = None) -> Answer:
    """Ask a saved scenario again, of the plan that holds now, and keep that answer in place of the old one."""
    answer = ask(app, Question.from_json(_kept(app, name).edits), progress=progress)
    save(app, name, answer, replace=True)
    return answer


def delete(app: App, name: str) -> None:
    """Delete a scenario; `NotFound` where there is none of that name. Edits that it has made stay."""
    with app.database.write() as connection:
        scenarios.remove(connection, name)


def promote(app: App, name: str) -> Promoted:
    """Make the scenario's quantities those of the plan, as edits with the reason "scenario NAME".

    Lines that were approved or rejected already stay as they are.

    Raises
    ------
    NotFound
        There is no scenario of that name.
    ConflictError
        The plan has been renewed since the scenario was asked.
    """
    kept = _kept(app, name)
    plan = planning.latest(app)
    if plan is None or plan.run_id is None:
        raise ParameterError("there is no plan to promote a scenario to; make one with `shelfwise order`")
    if plan.run_id != kept.run_id:
        raise ConflictError(
            f"scenario {name!r} was asked of plan {kept.run_id}, and the plan is {plan.run_id} of {plan.as_of} now; "
            f"ask it again with `shelfwise whatif again {name}`, look at it, then promote it"
        )
    wanted = pl.DataFrame(
        [{"unique_id": row["unique_id"], "wanted": row["quantity"]} for row in kept.lines],
        schema={"unique_id": pl.String, "wanted": pl.Float64},
    )
    lines = plan.lines.join(wanted, on="unique_id", how="inner", maintain_order="left")
    lines = lines.filter((pl.col("wanted") - pl.col("quantity")).abs() > 1e-9)
    free = lines.filter(pl.col("status").is_in(_DECIDABLE))
    quantities = dict(free.select("unique_id", "wanted").iter_rows())
    decisions.edit(app, plan, quantities, f"{REASON}{kept.name}")
    left = lines.filter(~pl.col("status").is_in(_DECIDABLE))["unique_id"].to_list()
    return Promoted(plan.run_id, tuple(quantities), tuple(left))


def in_a_sentence(answer: Answer, currency: str) -> str:
    """Say in one sentence what the change would do."""
    what = words.listed(list(answer.asked), limit=3) or "nothing changed"
    spend, lost, margin, empty, stock = (
        answer.total(name)[2] for name in ("spend", "lost_units", "lost_margin", "stockout_days", "stock_value")
    )
    effects = []
    if abs(spend) >= LITTLE:
        effects.append(f"this order would cost {words.money(abs(spend), currency)} {_more(spend)}")
    if abs(lost) >= LITTLE:
        effects.append(
            f"{words.units(abs(lost))} units {_more(lost)} would be lost (margin: {words.money(abs(margin), currency)} "
            f"{_more(margin)})"
        )
    if abs(empty) >= LITTLE:
        effects.append(f"shelves would be empty on {words.units(abs(empty))} line-days {_more(empty)}")
    if abs(stock) >= LITTLE:
        effects.append(f"stock would be worth {words.money(abs(stock), currency)} {_more(stock)} on average")
    if not effects:
        return f"With {what}, hardly anything would change in {answer.days} days."
    told = effects[0] if len(effects) == 1 else f"{', '.join(effects[:-1])}, and {effects[-1]}"
    return f"With {what}, {told}, over {answer.days} days."


def _more(change: float) -> str:
    return "more" if change > 0 else "less"


def _kept(app: App, name: str) -> Scenario:
    with app.database.read() as connection:
        return scenarios.scenario(connection, name)


def _answer(kept: Scenario) -> Answer:
    summary: dict[str, Any] = kept.summary
    numbers = dict.fromkeys(("base", "scenario", "difference"), pl.Float64())
    measures = [*SHOP_MEASURES, *(f"base_{name}" for name in SHOP_MEASURES)]
    texts = dict.fromkeys(("unique_id", "product", "warehouse", "name", "supplier"), pl.String())
    return Answer(
        question=Question.from_json(kept.edits),
        asked=tuple(summary["asked"]),
        run_id=kept.run_id,
        as_of=dt.date.fromisoformat(summary["as_of"]),
        days=summary["days"],
        totals=pl.DataFrame(summary["totals"], schema_overrides=numbers),
        lines=pl.DataFrame(kept.lines, schema_overrides=texts | dict.fromkeys(measures, pl.Float64())),
        notes=tuple(summary["notes"]),
    )

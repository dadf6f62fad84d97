"""``shelfwise models``: fitted models with a name; train one, let it answer, or let the one before answer again."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shelfwise.cli.options import CsvOption, DatabaseOption, JsonOption, database_flag, open_shop
from shelfwise.cli.output import form, say, write_frame, write_json, write_table
from shelfwise.cli.progress import Progress

if TYPE_CHECKING:
    import polars as pl

    from shelfwise.services.registry import Deployment, Described

group = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
COLUMNS = (
    "model", "id", "scope", "alias", "created", "data_until", "wape", "rmse", "state", "size", "made_by",
)  # fmt: skip
SHOWN = ["model", "scope", "alias", "created", "data_until", "wape", "rmse", "state"]

ScopeOption = Annotated[str, typer.Option("--scope", help="shop, or product:CODE for a model of one product alone.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; the next reader will ask.", show_default=False)]
ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help="Like coherent@3, or its id.", show_default=False)]


class AliasOption(Enum):
    """What a version may be to its scope."""

    CHAMPION = "champion"
    CHALLENGER = "challenger"


def register(app: typer.Typer) -> None:
    """Add the group to the command line."""
    app.add_typer(group, name="models", help="Train models, and say which of them answers.")


@group.callback()
def _group() -> None:
    """Train models, and say which of them answers."""


@group.command("list")
def listed(
    scope: Annotated[str | None, typer.Option("--scope", help="Only of this scope.", show_default=False)] = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> None:
    """List fitted models, the newest first; the champion of a scope answers for it."""
    to = form(as_json, as_csv)
    with open_shop(database) as shop:
        from shelfwise.services import registry

        frame = _frame(registry.listed(shop, scope=scope))
    write_frame(frame, to, shown=SHOWN, empty="no model was trained yet: shelfwise models train")


@group.command("show", no_args_is_help=True)
def show(model: ModelArgument, database: DatabaseOption = None, as_json: JsonOption = False) -> None:
    """Show a model: what it was fitted on, how far off it was, and when it answered."""
    with open_shop(database) as shop:
        from shelfwise.services import registry

        found = registry.find(shop, model)
        story = [one for one, version, _ in registry.history(shop, found.version.scope) if version == found.version]
    told = {**_told(found), "deployments": [vars(one) for one in story]}
    if as_json:
        write_json(told)
        return
    metrics = {f"metrics: {name}": value for name, value in told.pop("metrics").items()}
    parameters = {f"parameters: {name}": value for name, value in told.pop("parameters").items()}
    told["deployments"] = "; ".join(f"{one.alias} since {one.made_at:%Y-%m-%d %H:%M}" for one in story) or None
    rows = [[name, _text(value)] for name, value in {**told, **metrics, **parameters}.items()]
    write_table(["what", "value"], rows, [False, False], wide=True)


@group.command("encrypt")
def encrypt(database: DatabaseOption = None) -> int:
    """Write the files of models anew that are not under the present key: after setting one, or changing it."""
    with open_shop(database) as shop:
        from shelfwise.services import registry

        done, failed = registry.encrypt(shop)
    say(f"{done:,} files of models were written anew under the present key")
    if failed:
        say(f"left as they are, damaged or under a key that is not given: {', '.join(failed)}")
    return 1 if failed else 0


@group.command("train")
def train(
    model: Annotated[str, typer.Option("--model", help="A model, or auto.")] = "auto",
    scope: ScopeOption = "shop",
    deploy: Annotated[bool, typer.Option("--deploy", help="Let it answer at once.", show_default=False)] = False,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fit a model on the shop's demand, measure it on the past and keep it.

    The first of its scope answers at once; a later one stands beside the one that does, until it is deployed.
    """
    with open_shop(database) as shop, Progress() as progress:
        from shelfwise.services import actor, registry, training
        from shelfwise.services.training import Training

        wanted = Training(model, scope, "champion" if deploy else "challenger", actor.name())
        version = training.train(shop, wanted, progress)
        found = registry.find(shop, version.label)
        flag = database_flag(shop)
    if as_json:
        write_json(_told(found))
        return
    alias = ", ".join(found.aliases)
    error = version.metrics["wape"]
    measured = version.metrics["reason"] if error is None else f"off by {error:.0%} of the units sold on its past"
    say(f"{version.label} is {alias} of {version.scope}; {measured}")
    if found.aliases == ("challenger",):
        say(f"let it answer: shelfwise models deploy {version.label}{flag}")


@group.command("deploy", no_args_is_help=True)
def deploy(
    model: ModelArgument,
    alias: Annotated[AliasOption, typer.Option("--as", help="What it is to be.")] = AliasOption.CHAMPION,
    reason: ReasonOption = "",
    database: DatabaseOption = None,
) -> None:
    """Let a model answer for its scope from now on."""
    with open_shop(database) as shop:
        from shelfwise.services import actor, registry

        made = registry.deploy(shop, model, alias=alias.value, reason=reason, made_by=actor.name())
        _say(made, registry.find(shop, str(made.version_id)), database_flag(shop))


@group.command("rollback")
def rollback(scope: ScopeOption = "shop", reason: ReasonOption = "", database: DatabaseOption = None) -> None:
    """Let the champion before the present one answer again; once more goes back one further."""
    with open_shop(database) as shop:
        from shelfwise.services import actor, registry

        made = registry.rollback(shop, scope, reason=reason, made_by=actor.name())
        _say(made, registry.find(shop, str(made.version_id)), database_flag(shop))


def _say(made: Deployment, found: Described, flag: str) -> None:
    say(f"{found.version.label} is {made.alias} of {made.scope}")
    if made.alias == "champion" and made.previous_id is not None and made.action == "deploy":
        say(f"back: shelfwise models rollback --scope {made.scope}{flag}")


def _told(found: Described) -> dict[str, Any]:
    version = found.version
    return {"model": version.label, "alias": ", ".join(found.aliases) or None, **vars(version)}


def _frame(found: list[Described]) -> pl.DataFrame:
    import polars as pl

    rows = [
        {
            "model": one.version.label, "id": one.version.id, "scope": one.version.scope,
            "alias": ", ".join(one.aliases) or None, "created": one.version.created_at,
            "data_until": one.version.data_until, "wape": one.version.metrics.get("wape"),
            "rmse": one.version.metrics.get("rmse"), "state": one.version.state, "size": one.version.size,
            "made_by": one.version.made_by,
        }
        for one in found
    ]  # fmt: skip
    schema = dict.fromkeys(("model", "scope", "alias", "state", "made_by"), pl.String())
    numbers = {"id": pl.Int64(), "size": pl.Int64(), "wape": pl.Float64(), "rmse": pl.Float64()}
    moments = {"created": pl.Datetime("us"), "data_until": pl.Date()}
    return pl.DataFrame(rows, schema={name: {**schema, **numbers, **moments}[name] for name in COLUMNS})


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, list):
        return "; ".join(map(str, value)) or "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)

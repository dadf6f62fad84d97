"""``/api/v1/models``: the registry of fitted models; which of them answers, and the way back."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Final, Literal

import polars as pl
from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from shelfwise.api.dependencies import ServingNow, ShopNow
from shelfwise.api.idempotency import IdempotentRoute
from shelfwise.api.paging import Cursor, Limit, Listing, Page
from shelfwise.api.problems import documented
from shelfwise.api.question_bodies import Body, ModelName
from shelfwise.api.routes.demand_predictions import ModelMetrics
from shelfwise.api.training_jobs import LONGEST_WAIT, TrainingQueued, queued
from shelfwise.api.values import Name, ShopTime, Text
from shelfwise.app import App
from shelfwise.services import actor, model_performance, registry, training
from shelfwise.services.registry import Deployment, Described, Version
from shelfwise.services.training import Training

router = APIRouter(prefix="/api/v1/models", tags=["models"], route_class=IdempotentRoute)

MODELS: Final = Listing("models", ("id",), (True,))

Scope = Annotated[
    str,
    Field(pattern=r"^(shop|product:[^\x00-\x1f\x7f]{1,255})$", description="`shop`, or `product:` and a code."),
]
ModelId = Annotated[
    str,
    Path(
        pattern=r"^([a-z][a-z0-9_]{0,63}@)?[1-9][0-9]{0,8}$",
        description="Its id, or its name and number.",
        examples=["theta@2"],
    ),
]
Wait = Annotated[float, Query(ge=0, le=LONGEST_WAIT, description="Seconds to wait for the training to end.")]


class ModelVersion(BaseModel):
    """A fitted model."""

    id: int
    version: str = Field(description="Name and number.", examples=["coherent@3"])
    name: str = Field(description="The model, as the catalog calls it.")
    number: int
    scope: str = Field(description="What it was fitted on and answers for.", examples=["shop"])
    aliases: list[str] = Field(description="`champion`, `challenger` or none.")
    created_at: ShopTime
    state: str = Field(description="`ready`, or `archived`: its file was removed, and it can be asked no more.")
    parameters: dict[str, Any] = Field(description="Of the fit.")
    metrics: ModelMetrics = Field(description="Measured on the past when it was trained.")
    data_until: dt.date = Field(description="Last day of the data it was fitted on.")
    data_fingerprint: str = Field(description="SHA-256 of that data.")
    sha256: str = Field(description="Of its file.")
    size: int = Field(description="Bytes of its file.")
    made_by: str


class ModelPage(Page):
    """Versions, the newest first."""

    items: list[ModelVersion]


class ModelScore(BaseModel):
    """How a version did on days that came after it was trained."""

    cutoff: dt.date = Field(description="The last day that it knew.")
    days: int = Field(description="Days after it that were forecast.")
    metrics: ModelMetrics


class ModelPerformance(BaseModel):
    """A version's scores."""

    model: ModelVersion
    since: list[ModelScore] = Field(description="Week by week since it was trained, the oldest first.")
    note: str | None = Field(description="Why weeks may be missing; null where none is.")


class Performances(BaseModel):
    """The newest versions of a scope."""

    scope: str
    items: list[ModelPerformance]


class Deployed(BaseModel):
    """A version that took an alias over."""

    id: int
    scope: str
    alias: str
    action: str = Field(description="deploy or rollback.")
    version: str = Field(examples=["coherent@3"])
    previous: str | None = Field(description="Who had the alias before.", examples=["coherent@2"])
    reason: str
    made_by: str
    made_at: ShopTime


class Deployments(BaseModel):
    """What was deployed, the latest first."""

    items: list[Deployed]


class TrainRequest(Body):
    """What to train."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"model": "theta", "scope": "shop"}]})

    model: ModelName = Field("auto", description="Name of a model.")
    scope: Scope = "shop"
    then: Literal["champion", "challenger", "nothing", "not_worse"] = Field(
        "challenger",
        description="What becomes of it; not_worse: champion where it is not worse than the present one beyond chance, "
        "else challenger. The first of its scope becomes champion in any case.",
    )


class TrainedResponse(BaseModel):
    """A training that has ended."""

    status: Literal["trained"] = "trained"
    model: ModelVersion


class DeployRequest(Body):
    """Which version is to answer."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"model": "theta@2", "alias": "champion", "reason": "less off in November"}]},
    )

    model: Annotated[int, Field(ge=1, le=999_999_999)] | Name = Field(
        union_mode="left_to_right", description="Its id, or its name and number.", examples=["coherent@3"]
    )
    alias: Literal["champion", "challenger"] = "champion"
    reason: Text = ""


class RollbackRequest(Body):
    """Of which scope the champion before is to answer again."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"scope": "shop", "reason": "worse since Monday"}]}
    )

    scope: Scope = "shop"
    reason: Text = ""


@router.get("", responses=documented(422, 503))
def list_models(
    shop: ShopNow,
    scope: Annotated[str | None, Query(max_length=300, description="`shop`, or `product:` and a code.")] = None,
    name: Annotated[str | None, Query(max_length=64, description="A model.", examples=["coherent"])] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> ModelPage:
    """List versions, the newest first."""
    found = {one.version.id: one for one in registry.listed(shop, scope=scope, name=name)}
    ids, following = MODELS.page(pl.DataFrame({"id": list(found)}, schema={"id": pl.Int64}), cursor, limit)
    return ModelPage(items=[_version(found[row["id"]]) for row in ids], next=following)


@router.get("/performance", responses=documented(422, 503))
def show_performance(
    serving: ServingNow,
    scope: Annotated[str, Query(max_length=300, description="`shop`, or `product:` and a code.")] = "shop",
) -> Performances:
    """Tell how the newest versions did when they were trained, and week by week since."""
    found = model_performance.performance(serving.shop, scope, serving.workers)
    return Performances(
        scope=scope,
        items=[
            ModelPerformance(
                model=_version(one.described),
                since=[
                    ModelScore(cutoff=score.cutoff, days=score.periods, metrics=_metrics(score.metrics))
                    for score in one.scores
                ],
                note=one.note or None,
            )
            for one in found
        ],
    )


@router.get("/deployments", responses=documented(422, 503))
def list_deployments(
    shop: ShopNow, scope: Annotated[str | None, Query(max_length=300, description="Of one scope alone.")] = None
) -> Deployments:
    """Tell which version answered since when, and who decided so; the latest first."""
    return Deployments(items=[_deployed(*one) for one in registry.history(shop, scope)])


@router.get("/{model}", responses=documented(404, 422, 503))
def show_model(shop: ShopNow, model: ModelId) -> ModelVersion:
    """Return one version."""
    return _version(registry.find(shop, model))


@router.post(
    "/train",
    response_model=TrainedResponse,
    responses={
        **documented(400, 404, 409, 413, 422, 503),
        202: {"model": TrainingQueued, "description": "It is being trained"},
    },
)
def train_model(body: TrainRequest, serving: ServingNow, wait: Wait = 0.0) -> TrainedResponse | Response:
    """Fit a model on the store's demand, measure it on the past and register it.

    The answer is 202 with the job that does it, unless `wait` is enough for it.
    """
    wanted = Training(body.model, body.scope, body.then, actor.name())
    found = training.start(serving.shop, wanted, serving.workers, wait_seconds=wait)
    return TrainedResponse(model=_version(found)) if isinstance(found, Described) else queued(found)


@router.post("/deploy", responses=documented(400, 404, 409, 413, 422, 503))
def deploy_model(body: DeployRequest, shop: ShopNow) -> Deployed:
    """Let a version answer for its scope from now on; its file is checked first."""
    made = registry.deploy(shop, str(body.model), alias=body.alias, reason=body.reason, made_by=actor.name())
    return _known(shop, made)


@router.post("/rollback", responses=documented(400, 404, 409, 413, 422, 503))
def roll_back(body: RollbackRequest, shop: ShopNow) -> Deployed:
    """Let the champion before the present one answer again; once more goes back one further."""
    made = registry.rollback(shop, body.scope, reason=body.reason, made_by=actor.name())
    return _known(shop, made)


def _known(shop: App, made: Deployment) -> Deployed:
    return next(_deployed(*one) for one in registry.history(shop, made.scope) if one[0].id == made.id)


def _deployed(made: Deployment, version: Version, previous: Version | None) -> Deployed:
    return Deployed(
        id=made.id, scope=made.scope, alias=made.alias, action=made.action, version=version.label,
        previous=None if previous is None else previous.label, reason=made.reason, made_by=made.made_by,
        made_at=made.made_at,
    )  # fmt: skip


def _metrics(metrics: dict[str, Any]) -> ModelMetrics:
    return ModelMetrics.model_validate(model_performance.as_metrics(metrics))


def _version(described: Described) -> ModelVersion:
    one = described.version
    return ModelVersion(
        id=one.id, version=one.label, name=one.name, number=one.number, scope=one.scope,
        aliases=list(described.aliases), created_at=one.created_at, state=one.state, parameters=one.parameters,
        metrics=_metrics(one.metrics), data_until=one.data_until, data_fingerprint=one.data_fingerprint,
        sha256=one.sha256, size=one.size, made_by=one.made_by,
    )  # fmt: skip

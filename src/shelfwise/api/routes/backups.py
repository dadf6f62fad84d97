"""``/api/v1/backups``: the backups that there are, and one more that is asked for."""

from __future__ import annotations

import datetime as dt

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from shelfwise.api.dependencies import ShopNow
from shelfwise.api.idempotency import IdempotentRoute
from shelfwise.api.problems import documented
from shelfwise.services import backups

router = APIRouter(prefix="/api/v1/backups", tags=["backups"], route_class=IdempotentRoute)


class Backup(BaseModel):
    """A backup in the backup folder, as its name tells; only reading it to its end shows that it is whole."""

    file: str
    made_at: dt.datetime = Field(description="In UTC.")
    bytes: int
    encrypted: bool


class Backups(BaseModel):
    """The backups of this shop, the newest first."""

    items: list[Backup]


class AskedBackup(BaseModel):
    """A backup that was asked for, or the queued one that is the same."""

    job: int = Field(description="Its number; `Location` says where it can be looked at.")
    state: str


@router.get("", responses=documented(503))
def list_backups(shop: ShopNow) -> Backups:
    """List the backups in the folder that the settings name; none where they name none."""
    folder = shop.settings.backup_folder
    found = [] if folder is None else backups.listed(shop.settings, folder)
    return Backups(
        items=[
            Backup(file=one.path.name, made_at=one.made_at, bytes=one.size, encrypted=one.is_encrypted) for one in found
        ]
    )


@router.post("", status_code=202, responses=documented(409, 503))
def make_backup(shop: ShopNow, request: Request, response: Response) -> AskedBackup:
    """Make a backup soon, in the background, and delete the oldest, as every night.

    409: the settings name no folder for backups. Restoring is not offered over HTTP: it needs the service ended.
    """
    job = backups.ask(shop, request_id=request.state.request_id)
    response.headers["Location"] = f"/api/v1/jobs/{job.id}"
    return AskedBackup(job=job.id, state=job.state)

"""The registry: fitted models that have a name, which of them answers, and the way back.

A version is a file and a row, in this order, so whatever is killed in between leaves no half version. `champion` of a
scope answers; `challenger` is looked at beside it. The scope ``shop`` is a model fitted on all series; ``product:CODE``
is one fitted on a single product. Plans are not made with the champion: they are fitted on the data as it stands
(`services.fitting`), so that the same data gives the same plan whatever is deployed.
"""

from __future__ import annotations

import logging
import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from shelfwise.app import App
from shelfwise.domain.encryption_keys import MAKE_ONE
from shelfwise.domain.errors import ConflictError, ModelError, ParameterError
from shelfwise.forecasting.catalog import estimator
from shelfwise.forecasting.contract import Predictor
from shelfwise.services import encryption
from shelfwise.services.packing import Arrays, packed, unpacked
from shelfwise.storage import artefacts
from shelfwise.storage import registry as kept
from shelfwise.storage.registry import CHALLENGER, CHAMPION, Alias, Deployment, Version

__all__ = ["CHALLENGER", "CHAMPION", "Alias", "Deployment", "Loaded", "Version"]

_log: Final = logging.getLogger(__name__)

SHOP: Final = "shop"
PRODUCT: Final = "product:"
KEPT: Final = 10
"""Newest versions of a scope whose files stay, besides those that an alias or the way back needs."""
IN_MEMORY: Final = 4
"""Loaded models that a process keeps."""
_BESIDE: Final = "registry/"  # arrays of the file that are not the model's own begin so
_ID: Final = re.compile(r"(?:([a-z][a-z0-9_]{0,63})@)?([1-9][0-9]{0,8})")


@dataclass(frozen=True, eq=False)
class Loaded:
    """A version, its predictor, and what was measured of each series when it was trained."""

    version: Version
    predictor: Predictor
    beside: Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Described:
    """A version with the aliases it has."""

    version: Version
    aliases: tuple[str, ...]


_loaded: OrderedDict[tuple[Path, str], tuple[Predictor, Arrays]] = OrderedDict()


def product_scope(code: str) -> str:
    """Return the scope of the models of one product."""
    return f"{PRODUCT}{code}"


def check_scope(scope: str) -> str:
    """Return a scope as given, or raise `ParameterError` where it is none.

    >>> check_scope("warehouse:North")
    Traceback (most recent call last):
    shelfwise.domain.errors.ParameterError: scope must be shop, or product: and a code, got 'warehouse:North'
    """
    if scope == SHOP or (scope.startswith(PRODUCT) and len(scope) > len(PRODUCT)):
        return scope
    raise ParameterError(f"scope must be shop, or product: and a code, got {scope!r}")


def register(
    app: App, predictor: Predictor, *, scope: str, data_until: date, data_fingerprint: str,
    parameters: Mapping[str, Any], metrics: Mapping[str, Any], beside: Mapping[str, npt.NDArray[Any]], made_by: str,
) -> Version:  # fmt: skip
    """Keep a fitted model as a new version; nobody asks it until it is deployed.

    Parameters
    ----------
    beside
        Arrays to keep with it, such as the scores of each series.

    Raises
    ------
    StorageError
        Its file cannot be written.
    """
    extra = {f"{_BESIDE}{name}": values for name, values in beside.items()}
    payload = packed({**predictor.to_arrays(), **extra})
    digest = artefacts.save(_folder(app), payload, encryption.keys_of(app.settings))
    with app.database.write() as connection:
        made = kept.add(
            connection,
            {
                "name": predictor.name, "scope": check_scope(scope), "created_at": app.now(), "state": "ready",
                "parameters": dict(parameters), "metrics": dict(metrics), "data_until": data_until,
                "data_fingerprint": data_fingerprint, "sha256": digest, "size": len(payload), "made_by": made_by,
            },
        )  # fmt: skip
    _log.info("model %s registered for %s: %d bytes", made.label, scope, made.size)
    _tidy(app, scope)
    return made


def find(app: App, wanted: str) -> Described:
    """Return the version that ``wanted`` names: its id, or its name and number, like ``coherent@3``.

    Raises
    ------
    ParameterError
        It is neither.
    NotFound
        There is no such version.
    """
    name, number = _parsed(wanted)
    with app.database.read() as connection:
        found = kept.version(connection, number) if name is None else kept.version_named(connection, name, number)
        return Described(found, tuple(kept.aliases(connection).get(found.id, ())))


def listed(
    app: App, *, scope: str | None = None, name: str | None = None, before: int | None = None, limit: int | None = None
) -> list[Described]:
    """Return versions, the newest first; for the parameters see `shelfwise.storage.registry.versions`."""
    with app.database.read() as connection:
        names = kept.aliases(connection)
        found = kept.versions(connection, scope=scope, name=name, before=before, limit=limit)
    return [Described(one, tuple(names.get(one.id, ()))) for one in found]


def champion(app: App, scope: str) -> Version | None:
    """Return the version that answers for a scope; None before the first."""
    with app.database.read() as connection:
        return kept.holder(connection, scope, CHAMPION)


def load(app: App, version: Version) -> Loaded:
    """Return a version's predictor; its file is checked against its hash before anything in it is read.

    Raises
    ------
    ConflictError
        The file is gone, was changed, or was written by a program too different from this one.
    """
    key = (_folder(app), version.sha256)
    if version.state != "ready":
        raise ConflictError(f"the file of {version.label} was removed; train a new version")
    # Looked at each time: a file that was changed is not used any longer.
    payload = artefacts.load(*key, encryption.keys_of(app.settings))
    if key not in _loaded:
        _loaded[key] = _restored(version, payload)
    _loaded.move_to_end(key)
    while len(_loaded) > IN_MEMORY:
        _loaded.popitem(last=False)
    predictor, beside = _loaded[key]
    return Loaded(version, predictor, beside)


def deploy(app: App, wanted: str, *, alias: Alias = CHAMPION, reason: str = "", made_by: str) -> Deployment:
    """Let a version answer for its scope from now on, or stand beside the one that does.

    Raises
    ------
    ParameterError, NotFound
        See `find`.
    ConflictError
        It has the alias already, or its file is gone or was changed.
    """
    version = find(app, wanted).version
    load(app, version)  # what cannot be loaded is not put to work
    with app.database.write() as connection:
        now = kept.version(connection, version.id)
        return kept.deploy(
            connection, now.scope, alias, now, action="deploy", reason=reason, made_by=made_by, made_at=app.now()
        )


def rollback(app: App, scope: str = SHOP, *, reason: str = "", made_by: str) -> Deployment:
    """Let the champion before the present one answer again; once more goes back one further.

    Raises
    ------
    ConflictError
        There was none before, or its file is gone or was changed.
    """
    check_scope(scope)
    with app.database.read() as connection:
        target = _before(kept.deployments(connection, scope=scope, alias=CHAMPION))
        version = None if target is None else kept.version(connection, target)
    if version is None:
        raise ConflictError(f"no version was champion of {scope} before the present one; deploy one by name")
    load(app, version)
    with app.database.write() as connection:
        if _before(kept.deployments(connection, scope=scope, alias=CHAMPION)) != version.id:
            raise ConflictError(f"the champion of {scope} was changed meanwhile; look again")
        return kept.deploy(
            connection, scope, CHAMPION, kept.version(connection, version.id), action="rollback", reason=reason,
            made_by=made_by, made_at=app.now(),
        )  # fmt: skip


def history(app: App, scope: str | None = None) -> list[tuple[Deployment, Version, Version | None]]:
    """Return what was deployed, the latest first, with the version and the one before it."""
    with app.database.read() as connection:
        known = {one.id: one for one in kept.versions(connection, scope=scope)}
        told = kept.deployments(connection, scope=scope)
    return [(one, known[one.version_id], known.get(one.previous_id or 0)) for one in told]


def encrypt(app: App) -> tuple[int, list[str]]:
    """Bring the files of all models under the present key.

    Returns
    -------
    How many were written anew, and the models whose file is damaged, or under a key that is not given.

    Raises
    ------
    ParameterError
        No key is set.
    """
    keys = encryption.keys_of(app.settings)
    if keys.present is None:
        raise ParameterError(f"no encryption key is set, so nothing is encrypted; {MAKE_ONE}")
    with app.database.read() as connection:
        ready = [one for one in kept.versions(connection) if one.state == "ready"]
    names = {one.sha256 for one in ready}
    done, failed = artefacts.reseal(_folder(app), names, keys)
    return done, [one.label for one in ready if one.sha256 in failed]


def not_encrypted(app: App) -> int:
    """Return how many models' files are not under the present key; without one, how many are under any."""
    with app.database.read() as connection:
        names = kept.hashes(connection)
    return len(artefacts.not_under(_folder(app), names, encryption.keys_of(app.settings)))


def _folder(app: App) -> Path:
    return artefacts.folder_of(app.settings.address(), app.settings.models_folder)


def _parsed(wanted: str) -> tuple[str | None, int]:
    """Return name and number; nothing of what is refused here ever comes near a path.

    >>> _parsed("7"), _parsed("coherent@3")
    ((None, 7), ('coherent', 3))
    >>> _parsed("../../etc/passwd")
    Traceback (most recent call last):
    shelfwise.domain.errors.ParameterError: a model is named by its id, like 7, or by name and number, like coherent@3
    """
    found = _ID.fullmatch(wanted)
    if found is None:
        raise ParameterError("a model is named by its id, like 7, or by name and number, like coherent@3")
    return found[1], int(found[2])


def _restored(version: Version, payload: bytes) -> tuple[Predictor, Arrays]:
    try:
        arrays = unpacked(payload)
        own = {name: values for name, values in arrays.items() if not name.startswith(_BESIDE)}
        predictor = estimator(version.name).restore(own)
    except (ModelError, ParameterError) as error:
        raise ConflictError(
            f"{version.label} was written by another version of the program and cannot be read by this one ({error}); "
            "train it again"
        ) from error
    beside = {name.removeprefix(_BESIDE): arrays[name] for name in arrays if name.startswith(_BESIDE)}
    return predictor, beside


def _stack(deployments: Sequence[Deployment]) -> list[int]:
    """Return the champions that going back would meet, the present one last; ``deployments`` the latest first."""
    stack: list[int] = []
    for one in reversed(deployments):
        if one.action == "rollback":
            stack.pop()
        else:
            stack.append(one.version_id)
    return stack


def _before(deployments: Sequence[Deployment]) -> int | None:
    stack = _stack(deployments)
    return stack[-2] if len(stack) > 1 else None


def _tidy(app: App, scope: str) -> None:
    """Archive old versions of a scope that nothing needs, and remove files that no version needs."""
    with app.database.write() as connection:
        found = kept.versions(connection, scope=scope)
        needed = {*kept.aliases(connection), *_stack(kept.deployments(connection, scope=scope, alias=CHAMPION))[-2:]}
        old = [one for one in found[KEPT:] if one.id not in needed and one.state == "ready"]
        kept.archive(connection, [one.id for one in old])
        wanted = kept.hashes(connection)
    for one in old:
        if one.sha256 not in wanted:
            artefacts.remove(_folder(app), one.sha256)
    artefacts.tidy(_folder(app), wanted)


def numbers(values: Mapping[str, float]) -> dict[str, float | None]:
    """Return metrics with None for what is not known, as JSON has it.

    >>> numbers({"rmse": 1.0, "mape": float("nan")})
    {'rmse': 1.0, 'mape': None}
    """
    return {name: float(value) if np.isfinite(value) else None for name, value in values.items()}

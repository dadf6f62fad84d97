"""Fitting: a model is fitted once on the same data, and found again by what it was fitted on."""

from __future__ import annotations

import logging
import re
from hashlib import sha256
from importlib.metadata import version
from typing import Final

import numpy as np

from shelfwise.app import App
from shelfwise.domain.covariates import Covariate
from shelfwise.domain.errors import ModelError, StorageError
from shelfwise.domain.panel import Panel
from shelfwise.forecasting.catalog import estimator
from shelfwise.forecasting.contract import Estimator, Predictor
from shelfwise.services.packing import packed, unpacked
from shelfwise.storage import models

_log: Final = logging.getLogger(__name__)


def fitted(app: App, panel: Panel, model: str) -> Predictor:
    """Return the model fitted on ``panel``: the stored one where it was fitted on the very same data, else a new one.

    Raises
    ------
    ParameterError
        The model is not known.
    """
    wanted = estimator(model)
    fingerprint = _fingerprint(wanted, panel)
    with app.database.read() as connection:
        payload = models.load(connection, fingerprint)
    if payload is not None:
        try:
            return wanted.restore(unpacked(payload))
        except ModelError as error:  # what is stored can always be made again
            _log.warning("the stored model is not used: %s", error)
    predictor = wanted.fit(panel)
    if any("cannot be loaded" in note for note in getattr(predictor, "notes", ())):
        return predictor  # a library is missing: once it is installed, the whole model must be fitted
    try:
        with app.database.write() as connection:
            models.save(
                connection,
                fingerprint,
                model=predictor.name,
                version=predictor.version,
                payload=packed(predictor.to_arrays()),
                created_at=app.now(),
            )
    except StorageError as error:  # a full disk must not keep the forecast from the one who asked
        _log.warning("the fitted model was not kept: %s", error)
    return predictor


def fingerprint_of(panel: Panel, model: str) -> str:
    """Return the fingerprint under which `fitted` keeps a model fitted on ``panel``."""
    return _fingerprint(estimator(model), panel)


def kept(app: App, model: str, fingerprint: str) -> Predictor | None:
    """Return a model as it was kept under a fingerprint, whatever data there is now; None where it is there no more."""
    with app.database.read() as connection:
        payload = models.load(connection, fingerprint)
    if payload is None:
        return None
    try:
        return estimator(model).restore(unpacked(payload))
    except ModelError as error:
        _log.warning("the stored model is not used: %s", error)
        return None


def _fingerprint(wanted: Estimator, panel: Panel) -> str:
    """Return a hash of the model's parameters, the program's version and the past of the panel."""
    return sha256(f"{version('shelfwise')} {described(wanted)} {panel_fingerprint(panel)}".encode()).hexdigest()


def described(wanted: Estimator) -> str:
    """Return a model with its parameters as text that is the same in every process.

    >>> from shelfwise.forecasting.catalog import estimator
    >>> " at 0x" in repr(estimator("tsb")), " at 0x" in described(estimator("tsb"))
    (True, False)
    """
    return re.sub(r" at 0x[0-9a-f]+", "", repr(wanted))  # where a function lies in memory is no parameter


def panel_fingerprint(panel: Panel) -> str:
    """Return a hash of the past of a panel: equal where a model that is fitted on it must come out equal."""
    digest = sha256(f"{panel.freq!r} {panel.hierarchy}".encode())
    for array in (panel.values, panel.offsets, panel.starts, panel.available):
        digest.update(b"none" if array is None else np.ascontiguousarray(array).tobytes())
    digest.update(panel.series.write_json().encode())
    for kind in (panel.past_only, panel.known_future):
        for name in sorted(kind):
            digest.update(name.encode())
            digest.update(_past(kind[name], panel))
    return digest.hexdigest()


def _past(covariate: Covariate, panel: Panel) -> bytes:
    """Return a covariate up to the cutoff as bytes: how far ahead it was laid out changes no fit."""
    known = covariate.until(panel.ends)
    return repr(known.categories).encode() + np.ascontiguousarray(known.values).tobytes()

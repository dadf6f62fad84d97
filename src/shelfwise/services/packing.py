"""Fitted models as bytes: plain arrays in a zip file, never code."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from shelfwise.domain.errors import ModelError

Arrays = dict[str, npt.NDArray[Any]]


def packed(arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """Return arrays as bytes; the same arrays give the same bytes.

    >>> unpacked(packed({"level": np.array([1.5])}))["level"].tolist()
    [1.5]
    """
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def unpacked(payload: bytes) -> Arrays:
    """Return the arrays that `packed` packed.

    Raises
    ------
    ModelError
        The bytes are something else.
    """
    try:
        with np.load(io.BytesIO(payload), allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (ValueError, OSError, KeyError, EOFError, struct.error, zipfile.BadZipFile, zlib.error) as error:
        raise ModelError(f"stored model cannot be read: {error}; it is fitted again") from error

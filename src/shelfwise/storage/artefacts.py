"""Artefacts: the bytes of fitted models as files, each named after the hash of its content.

A file is written under another name, brought to the disk and then renamed, so under its own name it is whole or not
there; and it is checked against its name before anyone reads it. The same bytes are the same file. A file without a row
in ``model_versions`` is harmless: a process died between the two, and `tidy` removes it once it is a day old.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
import uuid
from collections.abc import Collection
from hashlib import sha256
from pathlib import Path
from typing import Final

from shelfwise.domain.addresses import Address
from shelfwise.domain.errors import ConflictError, StorageError

SUFFIX: Final = ".npz"
UNFINISHED: Final = ".part"
LEFT_OVER_SECONDS: Final = 86_400
"""A file that no version names stays so long: it may be of a version that is about to be written."""
_NAME: Final = re.compile(r"[0-9a-f]{64}")


def folder_of(address: Address, given: Path | None) -> Path:
    """Return where a shop's artefacts are: what the setting says, else beside the database's file, else ``models``.

    >>> folder_of(Address.parse("shops/tea.db"), None).as_posix()
    'shops/tea.models'
    """
    if given is not None:
        return given.expanduser()
    return Path("models") if address.path is None else address.path.with_suffix(".models")


def save(folder: Path, payload: bytes) -> str:
    """Write bytes to the disk and return their hash, the name they are found by.

    Raises
    ------
    StorageError
        The folder cannot be made or written, or the disk is full.
    """
    name = sha256(payload).hexdigest()
    target = _path(folder, name)
    if _is_whole(target, name):
        return name
    unfinished = folder / f"{name}.{uuid.uuid4().hex}{UNFINISHED}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(payload)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(target)
        _sync(folder)
    except OSError as error:
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise StorageError(
            f"{folder}: a model cannot be written there ({error.strerror or error}); free some space, or name a folder "
            "that may be written: SHELFWISE_MODELS_FOLDER"
        ) from error
    return name


def load(folder: Path, name: str) -> bytes:
    """Return the bytes of that hash.

    Raises
    ------
    ConflictError
        The file is gone, or holds other bytes than were written.
    """
    target = _path(folder, name)
    try:
        payload = target.read_bytes()
    except FileNotFoundError:
        raise ConflictError(
            f"{target}: the model's file is gone; restore it, or deploy another version or train one"
        ) from None
    except OSError as error:
        raise StorageError(f"{target} cannot be read ({error.strerror or error})") from error
    if sha256(payload).hexdigest() != name:
        raise ConflictError(
            f"{target}: the file is not what was saved (its hash differs), so it is not loaded; restore it, or deploy "
            "another version or train one"
        )
    return payload


def remove(folder: Path, name: str) -> None:
    """Delete the file of that hash where there is one."""
    with contextlib.suppress(OSError):
        _path(folder, name).unlink(missing_ok=True)


def tidy(folder: Path, wanted: Collection[str], *, older_than_seconds: float = LEFT_OVER_SECONDS) -> int:
    """Remove old files that are unfinished or that no version names; return how many. Other files are left alone."""
    latest = time.time() - older_than_seconds
    removed = 0
    if not folder.is_dir():
        return removed
    for path in sorted(folder.iterdir()):
        ours = path.name.endswith(UNFINISHED) or (path.suffix == SUFFIX and _NAME.fullmatch(path.stem) is not None)
        if not ours or path.stem in wanted:
            continue
        with contextlib.suppress(OSError):
            if path.stat().st_mtime <= latest:
                path.unlink()
                removed += 1
    return removed


def _path(folder: Path, name: str) -> Path:
    if _NAME.fullmatch(name) is None:
        raise StorageError(f"{name!r} is no hash of a model's file")
    return folder / f"{name}{SUFFIX}"


def _is_whole(target: Path, name: str) -> bool:
    try:
        return sha256(target.read_bytes()).hexdigest() == name
    except OSError:
        return False


def _sync(folder: Path) -> None:
    """Bring the folder's list of names to the disk, where the system knows such a thing."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

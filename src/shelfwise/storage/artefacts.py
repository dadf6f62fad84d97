"""Artefacts: the bytes of fitted models as files, each named after the hash of its content.

A file is written under another name, brought to the disk and then renamed, so under its own name it is whole or not
there; and it is checked against its name before anyone reads it. The same bytes are the same file. A file without a row
in ``model_versions`` is harmless: a process died between the two, and `tidy` removes it once it is a day old.

With a key, what is written is sealed (`shelfwise.storage.sealing`) for its name; the name stays the hash of the plain
bytes, so a model keeps its name whatever the key. Plain files are still read, and `reseal` brings all under one key.
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
from shelfwise.storage.sealing import NO_KEYS, Keys, NoKey, SealBroken, is_sealed, key_id, opened, seal

SUFFIX: Final = ".npz"
UNFINISHED: Final = ".part"
LEFT_OVER_SECONDS: Final = 86_400
"""A file that no version names stays so long: it may be of a version that is about to be written."""
_NAME: Final = re.compile(r"[0-9a-f]{64}")
_BEGINNING: Final = 48
"""Bytes of a file that tell whether, and under which key, it is sealed."""


def folder_of(address: Address, given: Path | None) -> Path:
    """Return where a shop's artefacts are: what the setting says, else beside the database's file, else ``models``.

    >>> folder_of(Address.parse("shops/tea.db"), None).as_posix()
    'shops/tea.models'
    """
    if given is not None:
        return given.expanduser()
    return Path("models") if address.path is None else address.path.with_suffix(".models")


def save(folder: Path, payload: bytes, keys: Keys = NO_KEYS) -> str:
    """Write bytes to the disk, sealed where there is a key, and return their hash, the name they are found by.

    Raises
    ------
    StorageError
        The folder cannot be made or written, or the disk is full.
    """
    name = sha256(payload).hexdigest()
    target = _path(folder, name)
    if _is_whole(target, name, keys):
        return name
    if keys.present is not None:
        payload = seal(payload, keys.present, "model", name.encode("ascii"))
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


def load(folder: Path, name: str, keys: Keys = NO_KEYS) -> bytes:
    """Return the bytes of that hash.

    Raises
    ------
    ConflictError
        The file is gone, or holds other bytes than were written.
    NoKey
        It is sealed under a key that was not given.
    """
    target = _path(folder, name)
    try:
        payload = target.read_bytes()
        if is_sealed(payload):
            payload = opened(payload, keys, "model", name.encode("ascii"), str(target))
    except FileNotFoundError:
        raise ConflictError(
            f"{target}: the model's file is gone; restore it, or deploy another version or train one"
        ) from None
    except SealBroken:
        payload = b""  # whose hash is no model's: said below
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


def not_under(folder: Path, names: Collection[str], keys: Keys) -> list[str]:
    """Return those of the files that are not sealed under the present key; where there is none, those that are."""
    wanted = None if keys.present is None else keys.present.id
    return [name for name in sorted(names) if (found := _sealed_under(folder, name)) is not None and found != wanted]


def reseal(folder: Path, names: Collection[str], keys: Keys) -> tuple[int, list[str]]:
    """Write files anew that are not under the present key; return how many, and those that could not be opened.

    Each is replaced at once, so whatever is killed in between leaves whole files, some under either key.
    """
    done, failed = 0, []
    for name in not_under(folder, names, keys):
        try:
            payload = load(folder, name, keys)
        except (ConflictError, NoKey):
            failed.append(name)
            continue
        save(folder, payload, keys)
        done += 1
    return done, failed


def _path(folder: Path, name: str) -> Path:
    if _NAME.fullmatch(name) is None:
        raise StorageError(f"{name!r} is no hash of a model's file")
    return folder / f"{name}{SUFFIX}"


def _is_whole(target: Path, name: str, keys: Keys) -> bool:
    """Whether the file is there, whole, and sealed under the present key (or plain where there is none)."""
    try:
        payload = target.read_bytes()
        if is_sealed(payload) != (keys.present is not None):
            return False
        if keys.present is not None:
            if key_id(payload, str(target)) != keys.present.id:
                return False
            payload = opened(payload, keys, "model", name.encode("ascii"), str(target))
    except (OSError, SealBroken):
        return False
    return sha256(payload).hexdigest() == name


def _sealed_under(folder: Path, name: str) -> bytes | None:
    """Return the id of the key that a file is sealed under, nothing where it is plain; None where there is no file."""
    target = _path(folder, name)
    try:
        with target.open("rb") as file:
            beginning = file.read(_BEGINNING)
    except OSError:
        return None
    try:
        return key_id(beginning, str(target)) if is_sealed(beginning) else b""
    except SealBroken:
        return b""


def _sync(folder: Path) -> None:
    """Bring the folder's list of names to the disk, where the system knows such a thing."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

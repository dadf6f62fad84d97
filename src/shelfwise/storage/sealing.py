"""Files that only the holder of a key can read, and that nobody else can change unseen.

Nothing here is a cipher of our own; three published parts are put together, each from the package ``cryptography``:

* a key for each file and purpose by **HKDF-SHA256** (RFC 5869) from the shop's key and 32 random bytes, so no two files
  share a key and a sealed model can never be passed off as a backup;
* **AES-256-GCM** (NIST SP 800-38D) for each chunk of 64 KiB, so a file of any size is read in little memory and no byte
  of a chunk is handed out before the whole chunk is proved;
* the **STREAM** construction (Hoang, Reyhanitabar, Rogaway and Vizar, "Online Authenticated-Encryption and its
  Nonce-Reuse Misuse-Resistance", CRYPTO 2015) over the chunks: the nonce is the chunk's number and a mark on the last
  one, so chunks that were reordered, left out, repeated, or cut off at the end do not open.

A file is a header of 48 bytes and its chunks: ``SWSEAL``, the version (2 bytes), an id of the key (8 bytes, which tells
nothing of the key), the 32 random bytes. The header and the caller's ``about`` are authenticated with every chunk.
"""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, BinaryIO, Final, Literal, Protocol

from shelfwise.domain.errors import ParameterError, StorageError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

Purpose = Literal["model", "backup", "webhook"]

MAGIC: Final = b"SWSEAL"
VERSION: Final = 1
CHUNK: Final = 64 << 10
TAG: Final = 16
_HEADER: Final = struct.Struct(">6sH8s32s")
_MOST_CHUNKS: Final = 1 << 40  # of the 11 bytes that count them; 64 PiB


class SealBroken(StorageError):
    """A sealed file is not what was written, or not all of it."""


class NoKey(StorageError):
    """A sealed file needs a key that was not given."""


class Sink(Protocol):
    """What bytes can be written to."""

    def write(self, data: bytes, /) -> object:
        """Take all of ``data``."""


class Source(Protocol):
    """What bytes can be read from."""

    def read(self, size: int, /) -> bytes:
        """Return up to ``size`` bytes, none at the end."""


@dataclass(frozen=True)
class Key:
    """One key; its bytes are left out of what is shown."""

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) != 32:
            raise ParameterError(f"an encryption key has 32 bytes, got {len(self.secret)}")

    @cached_property
    def id(self) -> bytes:
        """What a file is marked with, so that its reader knows which key it needs."""
        return _derived(self.secret, b"", b"shelfwise key id", 8)

    def cipher(self, salt: bytes, purpose: Purpose) -> AESGCM:
        """Return the cipher of one file."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        return AESGCM(_derived(self.secret, salt, b"shelfwise file " + purpose.encode("ascii"), 32))


@dataclass(frozen=True)
class Keys:
    """The key that seals, and those that only open what was sealed before.

    Parameters
    ----------
    secrets
        The present key first; none: nothing is sealed.
    """

    secrets: Sequence[bytes] = field(default=(), repr=False)

    @cached_property
    def all(self) -> tuple[Key, ...]:
        """The keys, the present one first."""
        return tuple(Key(secret) for secret in self.secrets)

    @property
    def present(self) -> Key | None:
        """The key that seals; None where nothing is sealed."""
        return self.all[0] if self.all else None

    def with_id(self, wanted: bytes, what: str) -> Key:
        """Return the key of that id.

        Raises
        ------
        NoKey
            It was not given.
        """
        for key in self.all:
            if key.id == wanted:
                return key
        known = f"known here: {', '.join(key.id.hex() for key in self.all)}" if self.all else "none is set"
        raise NoKey(
            f"{what}: it is encrypted under key {wanted.hex()}, and of keys {known}; set that one in "
            "SHELFWISE_ENCRYPTION_KEY, or in SHELFWISE_ENCRYPTION_KEY_PREVIOUS beside a newer one"
        )


NO_KEYS: Final = Keys()


def is_sealed(beginning: bytes) -> bool:
    """Whether bytes begin like a sealed file."""
    return beginning.startswith(MAGIC)


def key_id(beginning: bytes, what: str) -> bytes:
    """Return the id of the key under which a file is sealed, from its first 48 bytes."""
    return _parsed(beginning, what)[0]


def seal(data: bytes, key: Key, purpose: Purpose, about: bytes = b"") -> bytes:
    """Return bytes sealed; `opened` needs the same purpose and ``about``."""
    target = io.BytesIO()
    writer = SealingWriter(target, key, purpose, about)
    writer.write(data)
    writer.finish()
    return target.getvalue()


def opened(data: bytes, keys: Keys, purpose: Purpose, about: bytes = b"", what: str = "sealed bytes") -> bytes:
    """Return what was sealed.

    Raises
    ------
    NoKey, SealBroken
        Its key was not given; it was changed, cut off, or sealed for something else.
    """
    reader = OpeningReader(io.BytesIO(data), keys, purpose, about, what)
    parts = []
    while part := reader.read(CHUNK):
        parts.append(part)
    return b"".join(parts)


class SealingWriter:
    """Seals what is written to it, chunk by chunk; `finish` marks the last one, without which nothing opens."""

    def __init__(self, target: Sink, key: Key, purpose: Purpose, about: bytes = b"") -> None:
        salt = os.urandom(32)
        header = _HEADER.pack(MAGIC, VERSION, key.id, salt)
        self._target, self._cipher, self._about = target, key.cipher(salt, purpose), header + about
        self._left, self._number = bytearray(), 0
        target.write(header)

    def write(self, data: bytes) -> int:
        """Seal all whole chunks; one is always held back, since it may be the last."""
        self._left += data
        while len(self._left) > CHUNK:
            self._put(bytes(self._left[:CHUNK]), last=False)
            del self._left[:CHUNK]
        return len(data)

    def finish(self) -> None:
        """Seal the last chunk."""
        self._put(bytes(self._left), last=True)
        self._left.clear()

    def _put(self, chunk: bytes, *, last: bool) -> None:
        self._target.write(self._cipher.encrypt(_nonce(self._number, last), chunk, self._about))
        self._number += 1


class OpeningReader:
    """Reads what a `SealingWriter` wrote; gives out no byte that is not proved, and no end that is not the end."""

    def __init__(self, source: Source, keys: Keys, purpose: Purpose, about: bytes = b"", what: str = "file") -> None:
        header = _exactly(source, _HEADER.size)
        wanted, salt = _parsed(header, what)
        self._cipher, self._about = keys.with_id(wanted, what).cipher(salt, purpose), header + about
        self._source, self._what, self._number = source, what, 0
        self._sealed = _exactly(source, CHUNK + TAG)
        self._plain, self._place, self._ended = b"", 0, False

    def read(self, size: int) -> bytes:
        """Return up to ``size`` bytes; none at the end, which was proved to be it.

        Raises
        ------
        SealBroken
            The next chunk is not the one that was written there.
        """
        while self._place >= len(self._plain) and not self._ended:
            self._next()
        found = self._plain[self._place : self._place + size]
        self._place += len(found)
        return found

    def _next(self) -> None:
        from cryptography.exceptions import InvalidTag

        sealed, self._sealed = self._sealed, _exactly(self._source, CHUNK + TAG)
        self._ended = not self._sealed
        try:
            if len(sealed) < TAG or self._number >= _MOST_CHUNKS:
                raise InvalidTag
            self._plain = self._cipher.decrypt(_nonce(self._number, self._ended), sealed, self._about)
        except InvalidTag:
            raise SealBroken(
                f"{self._what}: it is not what was written (chunk {self._number + 1} does not open): it was changed, "
                "cut off, or belongs to something else; take another copy"
            ) from None
        self._place = 0
        self._number += 1


def _parsed(header: bytes, what: str) -> tuple[bytes, bytes]:
    if len(header) < _HEADER.size:
        raise SealBroken(f"{what}: it is cut off in its first {_HEADER.size} bytes; take another copy")
    magic, version, wanted, salt = _HEADER.unpack(header[: _HEADER.size])
    if magic != MAGIC:
        raise SealBroken(f"{what}: it is not encrypted by Shelfwise; take another copy")
    if version != VERSION:
        raise SealBroken(
            f"{what}: it is encrypted in form {version}, this program knows form {VERSION}; open it with a newer one"
        )
    return wanted, salt


def _exactly(source: Source | BinaryIO, size: int) -> bytes:
    """Read up to ``size`` bytes, fewer only at the end of the source."""
    parts: list[bytes] = []
    while size and (part := source.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _nonce(number: int, last: bool) -> bytes:
    return number.to_bytes(11, "big") + (b"\x01" if last else b"\x00")


def _derived(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), length, salt or None, info).derive(secret)

"""What is sealed opens with its key, for its purpose, whole and in its order; anything else is refused."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfwise.domain.encryption_keys import new_key, parse_key
from shelfwise.domain.errors import ParameterError
from shelfwise.storage.sealing import (
    CHUNK,
    TAG,
    Key,
    Keys,
    NoKey,
    OpeningReader,
    SealBroken,
    SealingWriter,
    is_sealed,
    key_id,
    opened,
    seal,
)

KEY = Key(b"k" * 32)
KEYS = Keys((b"k" * 32,))
HEADER = 48
EDGES = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 17]


def text_of(size: int) -> bytes:
    return bytes(n * 31 % 251 for n in range(size))


def pieces(sealed: bytes) -> list[bytes]:
    """Header and chunks."""
    whole = CHUNK + TAG
    return [sealed[:HEADER], *(sealed[at : at + whole] for at in range(HEADER, len(sealed), whole))]


@pytest.mark.parametrize("size", EDGES)
def test_what_is_sealed_comes_back_and_shows_nothing_of_itself(size: int) -> None:
    sealed = seal(text_of(size), KEY, "backup", b"about")
    assert opened(sealed, KEYS, "backup", b"about") == text_of(size)
    assert is_sealed(sealed)
    assert key_id(sealed, "it") == KEY.id
    assert len(sealed) == HEADER + size + TAG * max(1, -(-size // CHUNK))
    assert size < 16 or text_of(size)[:16] not in sealed


@given(st.lists(st.binary(max_size=9_000), max_size=20), st.integers(1, 100_000))
def test_however_it_is_written_and_read_it_is_the_same(parts: list[bytes], size: int) -> None:
    target = io.BytesIO()
    writer = SealingWriter(target, KEY, "model")
    for part in parts:
        writer.write(part)
    writer.finish()
    target.seek(0)
    reader = OpeningReader(target, KEYS, "model")
    found = b""
    while part := reader.read(size):
        found += part
    assert found == b"".join(parts)


def test_the_same_bytes_are_never_sealed_alike() -> None:
    assert len({seal(b"same", KEY, "model") for _ in range(50)}) == 50


@pytest.mark.parametrize("size", [0, 40, CHUNK + 40])
def test_any_changed_bit_is_noticed(size: int) -> None:
    sealed = seal(text_of(size), KEY, "backup")
    places = {*range(HEADER), *range(len(sealed) - TAG, len(sealed)), len(sealed) // 2}
    for place in places:
        changed = bytearray(sealed)
        changed[place] ^= 1
        with pytest.raises((SealBroken, NoKey)):
            opened(bytes(changed), KEYS, "backup")


@pytest.mark.parametrize(
    "change",
    [
        lambda p: [p[0], p[2], p[1], p[3]],
        lambda p: [p[0], p[1], p[1], p[2], p[3]],
        lambda p: [p[0], p[2], p[3]],
        lambda p: p[:-1],
        lambda p: p[:1],
        lambda p: [*p[:-1], p[-1][:-1]],
        lambda p: [*p, b"more"],
        lambda p: [*p, p[-1]],
    ],
    ids=["swapped", "repeated", "left out", "last gone", "all gone", "cut off", "more behind", "last twice"],
)
def test_chunks_are_taken_in_their_order_alone_and_all_of_them(change: object) -> None:
    parts = pieces(seal(text_of(2 * CHUNK + 100), KEY, "backup"))
    assert len(parts) == 4
    with pytest.raises(SealBroken, match="does not open"):
        opened(b"".join(change(parts)), KEYS, "backup")  # type: ignore[operator]


def test_chunks_of_two_files_under_one_key_do_not_mix() -> None:
    one, other = (pieces(seal(text_of(CHUNK + 9), KEY, "backup")) for _ in range(2))
    with pytest.raises(SealBroken):
        opened(one[0] + one[1] + other[2], KEYS, "backup")


def test_a_file_opens_for_what_it_was_sealed_for_alone() -> None:
    sealed = seal(b"fitted", KEY, "model", b"a")
    for purpose, about in (("backup", b"a"), ("model", b"b"), ("model", b"")):
        with pytest.raises(SealBroken):
            opened(sealed, KEYS, purpose, about)  # type: ignore[arg-type]


def test_an_earlier_key_opens_and_an_unknown_one_is_named_by_its_id() -> None:
    sealed = seal(b"old", KEY, "model")
    assert opened(sealed, Keys((b"n" * 32, b"k" * 32)), "model") == b"old"
    for keys in (Keys(), Keys((b"n" * 32,))):
        with pytest.raises(NoKey, match=f"under key {KEY.id.hex()}.*SHELFWISE_ENCRYPTION_KEY_PREVIOUS"):
            opened(sealed, keys, "model")


def test_a_later_form_is_named() -> None:
    sealed = bytearray(seal(b"x", KEY, "model"))
    sealed[7] = 2
    with pytest.raises(SealBroken, match="form 2, this program knows form 1"):
        opened(bytes(sealed), KEYS, "model")


def test_no_key_is_shown() -> None:
    key = parse_key(new_key())
    assert repr(key) not in repr(Key(key)) + repr(Keys((key,)))
    with pytest.raises(ParameterError, match="32 bytes, got 5"):
        Key(b"short")


@pytest.mark.parametrize(
    "text", ["", "swk_", "password", "swk_" + "A" * 42, "swk_" + "A" * 44, "swk_" + "A" * 42 + "B="]
)
def test_what_is_no_key_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ParameterError, match="shelfwise config new-key") as raised:
        parse_key(text)
    assert len(text) < 9 or text not in str(raised.value)

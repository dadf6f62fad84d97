"""Large bodies: read whole, and unpacked while watching how far they grow."""

from __future__ import annotations

import zlib
from typing import Final

from fastapi import HTTPException, Request
from fastapi.concurrency import run_in_threadpool

LARGEST_BULK_BODY: Final = 64 << 20
"""Bytes of a body as it is sent to a bulk route."""
LARGEST_UNPACKED: Final = 256 << 20
MOST_TIMES: Final = 200
"""A body that grows by more when it is unpacked is none of movements, however small."""
_STEP: Final = 1 << 20


async def unpacked_body(request: Request) -> bytes:
    """Return the body of a request, unpacked where it is gzip.

    Raises
    ------
    HTTPException
        415: another encoding. 400: damaged. 413: it grows too large.
    """
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip"):
        raise HTTPException(415, f"Content-Encoding {encoding[:40]!r} is not known here; send gzip, or none")
    body = await request.body()
    return body if encoding == "identity" else await run_in_threadpool(unpacked, body)


def unpacked(body: bytes) -> bytes:
    """Return what gzip packed, all its parts; errors as for `unpacked_body`.

    >>> import gzip
    >>> unpacked(gzip.compress(b"one") + gzip.compress(b"two"))
    b'onetwo'
    """
    most = min(LARGEST_UNPACKED, max(_STEP, MOST_TIMES * len(body)))
    parts: list[bytes] = []
    size, left = 0, body
    try:
        while left:
            unpacking = zlib.decompressobj(wbits=31)
            while not unpacking.eof:
                part = unpacking.decompress(left, _STEP)
                left = unpacking.unconsumed_tail
                size += len(part)
                if size > most:
                    raise HTTPException(
                        413, f"the body grows beyond {most >> 20} MiB when it is unpacked; send it in parts"
                    )
                parts.append(part)
                if not part and not left and not unpacking.eof:
                    raise HTTPException(400, "the gzip body ends too early; send it again")
            left = unpacking.unused_data
    except zlib.error as error:
        raise HTTPException(400, f"the body is no gzip ({error}), as its Content-Encoding says") from None
    return b"".join(parts)

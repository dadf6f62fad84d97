"""The pages and the files they need, under a policy that lets a browser load nothing from anywhere else."""

from __future__ import annotations

from functools import cache
from hashlib import blake2b
from importlib.metadata import version
from importlib.resources import files
from typing import Final, cast

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from shelfwise.services import insights
from shelfwise.services.insights import Today
from shelfwise.services.serving import Serving
from shelfwise.web import today
from shelfwise.web.markup import Markup, element, join

router = APIRouter(include_in_schema=False)

POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
KEPT: Final = "public, max-age=31536000, immutable"
"""A file's address changes with its content, so a browser may keep it for ever."""
KINDS: Final = {"css": "text/css; charset=utf-8", "svg": "image/svg+xml"}


@router.get("/")
def first_page(request: Request) -> HTMLResponse:
    """Show what to order today."""
    shop = cast("Serving", request.app.state.serving).shop
    return HTMLResponse(page(insights.today(shop)), headers={"Content-Security-Policy": POLICY})


async def signed_out(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a browser whose visitor has not signed in: 401, and how to."""
    await HTMLResponse(_signed_out(), 401, {"Content-Security-Policy": POLICY})(scope, receive, send)


@router.get("/static/{name}")
def static_file(name: str) -> Response:
    """Give a file that pages need."""
    found = _files().get(name)
    if found is None:
        raise HTTPException(404)
    return Response(found, media_type=KINDS[name.rpartition(".")[2]], headers={"Cache-Control": KEPT})


def page(read: Today) -> str:
    """Return the first page as HTML."""
    told = element("p", today.freshness(read), class_="freshness")
    return _page(f"Today: {read.sentence()}", told, today.body(read), _foot())


@cache
def _signed_out() -> str:
    said = join(
        element("h1", "You are not signed in"),
        element("p", "When the service starts on this machine, it prints a link that signs its owner in, once."),
        element(
            "p",
            "For another link, run ",
            element("code", "shelfwise user link owner"),
            " there, or with your own name in place of owner.",
        ),
        element("p", "Programs send an API token instead: ", element("code", "Authorization: Bearer sw_...")),
    )
    return _page("Sign in", None, element("section", said), None)


def _page(title: str, beside: Markup | None, content: Markup, foot: Markup | None) -> str:
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        element("link", rel="icon", href=_address("icon.svg")),
        element("link", rel="stylesheet", href=_address("site.css")),
    )
    top = element("header", element("a", "Shelfwise", href="/", class_="brand"), beside, class_="top")
    return "<!doctype html>\n" + element(
        "html",
        head,
        element("body", top, element("main", content), foot),
        lang="en",
    )


def _foot() -> Markup:
    return element(
        "footer",
        element(
            "p",
            join(
                "This page reads and changes nothing. To decide: ",
                element("code", "shelfwise order"),
                ", or the ",
                element("a", "interface", href="/openapi.json"),
                f". Shelfwise {version('shelfwise')}",
            ),
        ),
    )


@cache
def _files() -> dict[str, bytes]:
    folder = files("shelfwise.web") / "static"
    return {one.name: one.read_bytes() for one in folder.iterdir() if one.name.rpartition(".")[2] in KINDS}


@cache
def _address(name: str) -> str:
    return f"/static/{name}?v={blake2b(_files()[name], digest_size=6).hexdigest()}"

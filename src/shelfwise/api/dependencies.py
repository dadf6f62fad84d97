"""What a route gets from the process it runs in."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import Depends, Request

from shelfwise.app import App
from shelfwise.services.serving import Serving


def _serving(request: Request) -> Serving:
    return cast("Serving", request.app.state.serving)


ServingNow = Annotated[Serving, Depends(_serving)]


def _shop(serving: ServingNow) -> App:
    return serving.shop


ShopNow = Annotated[App, Depends(_shop)]

"""What a route gets from the process it runs in."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import Depends, Request

from shelfwise.app import App
from shelfwise.services.serving import Serving


async def _serving(request: Request) -> Serving:  # async, though it waits for nothing: others get a thread each time
    return cast("Serving", request.app.state.serving)


ServingNow = Annotated[Serving, Depends(_serving)]


async def _shop(serving: ServingNow) -> App:
    return serving.shop


ShopNow = Annotated[App, Depends(_shop)]

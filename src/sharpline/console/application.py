"""What the server answers: the page, its files, one socket, a saved pair, health and metrics."""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qs

from fastapi import FastAPI, Request, Response, WebSocket
from fastapi.responses import JSONResponse, PlainTextResponse, RedirectResponse

from sharpline.console.assets import Asset, assets
from sharpline.console.feed import Feed
from sharpline.console.guarded import Application, Guarded
from sharpline.console.hub import Hub
from sharpline.console.pair import pair, stem
from sharpline.console.security import Gate
from sharpline.console.socket import Browser
from sharpline.console.status import health

_PATIENCE = 10.0  # seconds for a body of a few bytes


def application(hub: Hub, gate: Gate) -> Application:
    """The page's application, behind its gate.

    Args:
        hub: What is shown, and what the browsers share.
        gate: Who may see it.
    """
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    files = assets()
    _pages(app, gate, files)
    _numbers(app, hub.feed)
    _pictures(app, hub)
    return Guarded(app, gate, files["login.html"].content)


def _pages(app: FastAPI, gate: Gate, files: dict[str, Asset]) -> None:
    @app.get("/")
    async def page() -> Response:
        answer = Response(files["index.html"].content, media_type="text/html; charset=utf-8")
        if gate.has_token:
            answer.headers["set-cookie"] = gate.cookie()  # renewed while it is used
        return answer

    @app.get("/static/{name}")
    async def static(name: str, request: Request) -> Response:
        asset = files.get(name)
        if asset is None:
            return PlainTextResponse("There is no such file.\n", 404)
        headers = {"etag": asset.tag, "cache-control": "no-cache"}
        if request.headers.get("if-none-match") == asset.tag:
            return Response(status_code=304, headers=headers)
        return Response(asset.content, media_type=asset.mime, headers=headers)

    @app.get("/login")
    async def login_page() -> Response:
        return RedirectResponse("/", 303)

    @app.post("/login")
    async def login(request: Request) -> Response:
        try:
            async with asyncio.timeout(_PATIENCE):
                given = parse_qs((await request.body()).decode("utf-8", "replace")).get("token", [""])[0]
        except TimeoutError:
            return PlainTextResponse("That took too long.\n", 408)
        if not gate.is_token(given.strip()):
            return Response(files["login.html"].content, 401, media_type="text/html; charset=utf-8")
        return RedirectResponse("/", 303, headers={"set-cookie": gate.cookie()})

    @app.get("/session")
    async def session() -> Response:
        """Tells a page whose socket does not open whether it is still let in (401 comes from the gate)."""
        return Response(status_code=204)


def _numbers(app: FastAPI, feed: Feed) -> None:
    @app.api_route("/healthz", methods=["GET", "HEAD"])
    async def healthz(request: Request) -> Response:
        there, reasons = await asyncio.to_thread(health, feed)
        words: dict[str, object] = {"status": "degraded" if reasons else "ok"}
        if request.scope["admitted"]:
            words["reasons"] = reasons
        return JSONResponse(words, 200 if there else 503)

    @app.get("/metrics")
    async def metrics() -> Response:
        text = await asyncio.to_thread(feed.metrics)
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")


def _pictures(app: FastAPI, hub: Hub) -> None:
    @app.websocket("/socket")
    async def socket(socket: WebSocket) -> None:
        await socket.accept()
        await Browser(socket, hub).talk()

    @app.get("/pair")
    async def saved(socket: str) -> Response:
        browser = hub.browsers.get(socket)
        result = None if browser is None else browser.held
        if result is None:
            return PlainTextResponse("No picture is held for this browser; save it again.\n", 404)
        content = await asyncio.to_thread(pair, result)
        headers = {"content-disposition": f'attachment; filename="{stem(result)}.zip"'}
        return Response(content, media_type="application/zip", headers=headers)

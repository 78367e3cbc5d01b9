"""Pages for one person at this computer: behind a token in their address, served until Ctrl-C."""

import asyncio
import secrets
import socket
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import Annotated, TypeVar

import uvicorn
from fastapi import FastAPI, Header, Request, Response
from pydantic import BaseModel, ValidationError

from imparfait.serving import static
from imparfait.serving.app import add_error_handlers
from imparfait.serving.errors import ApiError, error_response
from imparfait.serving.listener import listen
from imparfait.serving.security import secured
from imparfait.serving.settings import ServingSettings

HOST = "127.0.0.1"
TOKEN_BYTES = 18
MAX_BODY_BYTES = 1 << 20
SHUTDOWN_SECONDS = 2  # for requests in progress
Body = TypeVar("Body", bound=BaseModel)


def make_local_app(page: str, token: str) -> FastAPI:
    """An ASGI application that serves a file of web/ at `/TOKEN/`, and its other files; routes come under `/TOKEN`.

    Without the token every response is 403, so that no other page in the browser and no other user can send requests.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    add_error_handlers(app)

    @app.middleware("http")
    async def check_token(request: Request, respond: Callable[[Request], Awaitable[Response]]) -> Response:
        given = request.url.path.split("/")[1]
        if not secrets.compare_digest(given.encode(), token.encode()):
            return error_response(ApiError(403, "the token is missing; use the address that the command prints"))
        return await respond(request)

    @app.get(f"/{token}/")
    async def index(if_none_match: Annotated[str, Header()] = "") -> Response:
        return static.page_file(page, if_none_match)

    @app.get(f"/{token}/static/{{name}}")
    async def static_file(name: str, if_none_match: Annotated[str, Header()] = "") -> Response:
        return static.page_file(name, if_none_match)

    return app


def new_token() -> str:
    """A token that cannot be guessed."""
    return secrets.token_urlsafe(TOKEN_BYTES)


async def json_body(request: Request) -> bytes:
    """The body of a request that says it is JSON; raises ApiError for another type, and for a large one.

    Browsers let pages of other origins send JSON only after a preflight request, which is refused.
    """
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind != "application/json":
        raise ApiError(415, f"content type {kind!r}; expected JSON; write the header Content-Type: application/json")
    content = b""
    async for part in request.stream():
        content += part
        if len(content) > MAX_BODY_BYTES:
            raise ApiError(413, f"the request body is too large; expected at most {MAX_BODY_BYTES:,} bytes")
    return content


async def body_as(request: Request, model: type[Body]) -> Body:
    """The JSON body of a request, checked; raises ApiError for anything else."""
    try:
        return model.model_validate_json(await json_body(request))
    except ValidationError as error:
        first = error.errors()[0]
        raise ApiError(422, f"{'.'.join(map(str, first['loc'])) or 'the body'}: {first['msg']}") from error


class LocalServer(uvicorn.Server):
    """uvicorn's server for a local page; Ctrl-C and SIGTERM end it with exit code 0."""

    def __init__(self, app: FastAPI, on_started: Callable[[], None]):
        config = uvicorn.Config(
            secured(app, HOST), log_config=None, log_level="error", access_log=False, ws="none", lifespan="off",
            server_header=False, proxy_headers=False, timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        )  # fmt: skip
        super().__init__(config)
        self._on_started = on_started

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Shut down gracefully on the first signal, at once on the second."""
        self.force_exit = self.should_exit
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen."""
        await super().startup(sockets)
        self._on_started()


def run_local(app: FastAPI, token: str, port: int, on_started: Callable[[str], None]) -> None:
    """Serve a local page on a port, 0 for a free one, until Ctrl-C; calls `on_started` with its address."""
    with listen(ServingSettings(host=HOST, port=port)) as listener:
        url = f"http://{HOST}:{listener.getsockname()[1]}/{token}/"
        asyncio.run(LocalServer(app, lambda: on_started(url)).serve([listener]))

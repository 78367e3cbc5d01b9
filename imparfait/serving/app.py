"""The HTTP API: its paths, what each takes and answers."""

import json
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from imparfait.core.errors import UserError
from imparfait.serving import model_info, schemas
from imparfait.serving.concurrency import RequestSlot
from imparfait.serving.errors import CODES, RefusedError, refusal
from imparfait.serving.service import NEEDS_TORCH, Service, can_alter

IMAGE_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            kind: {"schema": {"type": "string", "format": "binary"}} for kind in ("image/*", "application/octet-stream")
        },
    }
}
NO_QUERY = Annotated[model_info.NoQuery, Query()]


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What OpenAPI says of errors with these statuses."""
    return {status: {"model": schemas.Error, "description": CODES[status].replace("_", " ")} for status in statuses}


def make_app(service: Service) -> FastAPI:
    """The API around a service; what must hold for every request is in `guarding` and `connections`."""
    app = FastAPI(
        title="imparfait",
        summary="Reads images, says how sure it is, and shows what breaks it.",
        version="1",
        docs_url=None,  # these pages would load from another host
        redoc_url=None,
    )
    _add_questions(app, service)
    _add_facts(app, service)
    _add_refusals(app)
    return app


def _add_questions(app: FastAPI, service: Service) -> None:
    asked = errors(400, 403, 408, 413, 415, 422, 429, 503)
    corrupted = asked | errors(501)

    async def answer(request: Request, work: Callable[[bytes], Awaitable[Any]]) -> Response:
        body = await _received(request, service.settings.bytes)
        return _as_json(await service.in_time(work(body)))

    @app.post("/v1/predict", responses=asked, response_model=schemas.PredictResponse, openapi_extra=IMAGE_BODY)
    async def predict(request: Request, asked: Annotated[model_info.BaselineQuery, Query()]) -> Response:
        """What is on an image. The body is the image's file: PNG, JPEG, BMP, GIF, WebP or TIFF."""
        return await answer(request, lambda body: service.predict(body, asked.beside))

    @app.post("/v1/read", responses=asked, response_model=schemas.ReadResponse, openapi_extra=IMAGE_BODY)
    async def read(request: Request, asked: NO_QUERY) -> Response:
        """All digits on an image, line by line, with the place of each."""
        return await answer(request, service.read)

    @app.post("/v1/alter", responses=corrupted, response_model=schemas.Corrupted, openapi_extra=IMAGE_BODY)
    async def alter(request: Request, asked: Annotated[model_info.CorruptQuery, Query()]) -> Response:
        """An image as the model sees it, corrupted, and what the models say of that."""
        await service.corruptions()
        return await answer(request, lambda body: service.alter(body, asked.name, asked.severity, asked.seed))

    @app.post("/v1/break", responses=corrupted, response_model=schemas.Robustness, openapi_extra=IMAGE_BODY)
    async def break_it(request: Request, asked: NO_QUERY) -> Response:
        """What the models say of an image under every corruption, and from which severity on it is something else."""
        await service.corruptions()
        return await answer(request, service.break_it)


def _add_facts(app: FastAPI, service: Service) -> None:
    refused = errors(403, 422)

    @app.get("/v1/model", responses=refused, response_model=model_info.ModelInfo)
    async def model(asked: NO_QUERY) -> Response:
        """Which model is served, what it takes, how sure it has to be, and what there is beside it."""
        return _as_json(model_info.of(service))

    @app.get("/v1/corruptions", responses=refused | errors(501), response_model=schemas.CorruptionList)
    async def corruptions(asked: NO_QUERY) -> Response:
        """The corruptions that /v1/alter takes."""
        if not can_alter():
            raise RefusedError(501, NEEDS_TORCH)
        altering = await service.corruptions()
        return _as_json({"corruptions": [each.model_dump() for each in altering.corruptions()]})

    @app.get("/v1/gallery", responses=refused, response_model=model_info.Gallery)
    async def gallery(asked: NO_QUERY) -> Response:
        """Digits on which the models part, for the page."""
        return _as_json(model_info.gallery())

    @app.get("/health/live")
    async def live() -> Response:
        """Whether the server answers at all."""
        return _as_json({"status": "live"})

    @app.get("/health/ready", responses=errors(503))
    async def ready() -> Response:
        """Whether the models give the answers that were recorded of them, and the server is not about to end."""
        if service.state != "ready":
            raise RefusedError(503, service.why_not_ready, service.state)
        return _as_json({"status": "ready"})

    @app.get("/", include_in_schema=False)
    async def index(request: Request) -> Response:
        return model_info.file("index.html", request.headers.get("if-none-match", ""))

    @app.get("/static/{name}", include_in_schema=False)
    async def static(request: Request, name: str) -> Response:
        return model_info.file(name, request.headers.get("if-none-match", ""))


def _add_refusals(app: FastAPI) -> None:
    @app.exception_handler(RefusedError)
    async def refused(request: Request, error: RefusedError) -> Response:
        return refusal(error)

    @app.exception_handler(UserError)
    async def misled(request: Request, error: UserError) -> Response:
        return refusal(RefusedError(422, str(error)))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if part != "query")
        return refusal(RefusedError(422, f"{where}: {first['msg']}"))

    @app.exception_handler(HTTPException)
    async def unknown(request: Request, error: HTTPException) -> Response:
        answer = refusal(RefusedError(error.status_code, f"{request.method} {request.url.path}: {error.detail}"))
        answer.headers.update(error.headers or {})  # of 405: what is allowed
        return answer

    @app.exception_handler(Exception)
    async def broken(request: Request, error: Exception) -> Response:
        return refusal(RefusedError(500, "something went wrong here; what it was is in the server's own output"))


async def _received(request: Request, most: int) -> bytes:
    """The body of a request; raises RefusedError where it is no image or has over `most` bytes."""
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind and not kind.startswith("image/") and kind != "application/octet-stream":
        raise RefusedError(415, f"{kind!r} is no image; send the bytes of an image's file as image/png or such")
    length = request.headers.get("content-length", "0")
    too_large = RefusedError(413, f"the most bytes that are read are {most:,}; send a smaller image")
    if length.isdecimal() and int(length) > most:
        raise too_large
    visit: RequestSlot = request.scope["visit"]
    parts, size, more = [], 0, True
    while more:
        message = await request.receive()
        if visit.refused:
            raise visit.refused
        if message["type"] == "http.disconnect":
            raise RefusedError(400, "the connection ended before the image did")
        parts.append(message["body"])
        size += len(message["body"])
        more = message["more_body"]
        if size > most:
            raise too_large
    return b"".join(parts)


def _as_json(content: Any) -> Response:
    return Response(json.dumps(content, ensure_ascii=False, allow_nan=False).encode(), media_type="application/json")

"""The HTTP API: routes, request bodies and error handlers."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from imparfait.core.errors import UserError
from imparfait.serving import explanations, schemas, static
from imparfait.serving.errors import ApiError, error_response
from imparfait.serving.inference_protocol import add_inference_protocol
from imparfait.serving.metrics import MEDIA_TYPE
from imparfait.serving.responses import errors, json_response, receive_body, while_connected
from imparfait.serving.service import Service

IMAGE_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            kind: {"schema": {"type": "string", "format": "binary"}} for kind in ("image/*", "application/octet-stream")
        },
    }
}
NoQuery = Annotated[schemas.NoQuery, Query()]


def make_app(service: Service) -> FastAPI:
    """The ASGI application of a service; `security` and `connections` add what holds for every request."""
    app = FastAPI(
        title="imparfait",
        summary="Classifies images with calibrated confidence, and measures robustness to corruptions.",
        version="1",
        docs_url=None,  # these pages would load files from another host
        redoc_url=None,
    )
    _add_inference_routes(app, service)
    _add_metadata_routes(app, service)
    _add_page_routes(app)
    add_inference_protocol(app, service)
    add_error_handlers(app)
    return app


def _add_inference_routes(app: FastAPI, service: Service) -> None:
    inference = errors(400, 403, 408, 413, 415, 422, 429, 503)
    corruption = inference | errors(501)

    async def respond(request: Request, work: Callable[[bytes], Awaitable[Any]], both_sides: bool = False) -> Response:
        body = await receive_body(request, service.settings.max_body_bytes)

        async def answer() -> Any:
            await service.check_ready()
            return await work(body)

        return json_response(await while_connected(request, service.with_timeout(answer()), both_sides))

    @app.post("/v1/predict", responses=inference, response_model=schemas.PredictResponse, openapi_extra=IMAGE_BODY)
    async def predict(request: Request, query: Annotated[schemas.PredictQuery, Query()]) -> Response:
        """Classify an image. The body is an image file: PNG, JPEG, BMP, GIF, WebP or TIFF."""
        observed = request.scope.get("observed")
        return await respond(request, lambda body: service.predict(body, query.baseline, observed))

    @app.post("/v1/explain", responses=inference, response_model=explanations.ExplainResponse, openapi_extra=IMAGE_BODY)
    async def explain(request: Request, query: Annotated[explanations.ExplainQuery, Query()]) -> Response:
        """Show which parts of an image its prediction depends on: an occlusion map of the first page."""
        return await respond(request, lambda body: service.explain(body, query.label))

    @app.post("/v1/read", responses=inference, response_model=schemas.ReadResponse, openapi_extra=IMAGE_BODY)
    async def read(request: Request, query: Annotated[schemas.ReadQuery, Query()]) -> Response:
        """Read all digits on an image, line by line, with their boxes (OCR)."""
        return await respond(request, lambda body: service.read(body, query.inputs))

    @app.post("/v1/collect", responses=inference, response_model=schemas.CollectResponse, openapi_extra=IMAGE_BODY)
    async def collect(request: Request, query: Annotated[schemas.CollectQuery, Query()]) -> Response:
        """Save an image under its true class, to train on; only with `serve --collect DIR`."""
        return await respond(request, lambda body: service.collect(body, query.label))

    @app.post("/v1/corrupt", responses=corruption, response_model=schemas.CorruptResponse, openapi_extra=IMAGE_BODY)
    async def corrupt(request: Request, query: Annotated[schemas.CorruptQuery, Query()]) -> Response:
        """Corrupt an image and classify the result with the model and its baseline."""
        await service.robustness.corruptions()
        return await respond(
            request, lambda body: service.robustness.corrupt(body, query.name, query.severity, query.seed)
        )

    @app.post(
        "/v1/robustness", responses=corruption, response_model=schemas.RobustnessResponse, openapi_extra=IMAGE_BODY
    )
    async def robustness(request: Request, query: NoQuery) -> Response:
        """Classify an image under every corruption and severity; returns the first severity that changes the label."""
        await service.robustness.corruptions()
        return await respond(request, service.robustness.sweep, both_sides=True)


def _add_metadata_routes(app: FastAPI, service: Service) -> None:
    common = errors(403, 422)

    @app.get("/v1/model", responses=common, response_model=schemas.ModelInfo)
    async def model(query: NoQuery) -> Response:
        """Describe the served model: classes, input, confidence threshold, baseline."""
        return json_response(service.model_info())

    @app.get("/v1/corruptions", responses=common | errors(501), response_model=schemas.CorruptionList)
    async def corruptions(query: NoQuery) -> Response:
        """List the corruptions of /v1/robustness: of digits, or of photographs, as the model is for."""
        module = await service.robustness.corruptions()
        form = service.predictor.input_format
        listed = [corruption.model_dump() for corruption in module.corruptions(form)]
        return json_response({"severities": module.severities_of(form), "corruptions": listed})

    @app.get("/v1/gallery", responses=common, response_model=schemas.Gallery)
    async def gallery(query: NoQuery) -> Response:
        """List corrupted digits on which the model and its baseline disagree."""
        return json_response(static.gallery())

    @app.get("/health/live")
    async def live() -> Response:
        """Report that the server responds."""
        return json_response({"status": "live"})

    @app.get("/health/ready", responses=errors(503))
    async def ready() -> Response:
        """Report whether the self-test has passed, no thread is stuck, and the server is not shutting down."""
        if error := service.not_ready:
            raise error
        return json_response({"status": "ready"})

    @app.get("/metrics", response_class=Response, responses={200: {"content": {MEDIA_TYPE.split(";")[0]: {}}}})
    async def metrics() -> Response:
        """Report counts of requests, predictions and abstentions for Prometheus."""
        return Response(service.metrics_text(), media_type=MEDIA_TYPE)


def _add_page_routes(app: FastAPI) -> None:
    @app.get("/", include_in_schema=False)
    async def index(request: Request) -> Response:
        return static.page_file("index.html", request.headers.get("if-none-match", ""))

    @app.get("/static/{name}", include_in_schema=False)
    async def static_file(request: Request, name: str) -> Response:
        return static.page_file(name, request.headers.get("if-none-match", ""))


def add_error_handlers(app: FastAPI) -> None:
    """Add responses to errors, all with the same JSON body."""

    @app.exception_handler(ApiError)
    async def api_error(request: Request, error: ApiError) -> Response:
        return error_response(error)

    @app.exception_handler(UserError)
    async def user_error(request: Request, error: UserError) -> Response:
        return error_response(ApiError(422, str(error)))

    @app.exception_handler(RequestValidationError)
    async def invalid_query(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        parameter = ".".join(str(part) for part in first["loc"] if part != "query")
        return error_response(ApiError(422, f"{parameter}: {first['msg']}"))

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> Response:
        response = error_response(ApiError(error.status_code, f"{request.method} {request.url.path}: {error.detail}"))
        response.headers.update(error.headers or {})  # of 405: the allowed methods
        return response

    @app.exception_handler(Exception)
    async def internal_error(request: Request, error: Exception) -> Response:
        return error_response(ApiError(500, "internal error; see the server's log"))

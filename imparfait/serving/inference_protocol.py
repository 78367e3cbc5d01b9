"""The Open Inference Protocol (version 2) beside /v1: tensors of pixels as the model takes them, as JSON."""

from typing import Annotated, Any, Literal

import numpy as np
from fastapi import FastAPI, Request, Response
from pydantic import BaseModel, Field, ValidationError

from imparfait.inference.predictor import IMAGES, PROBABILITIES
from imparfait.serving.errors import ApiError
from imparfait.serving.responses import errors, json_response, receive_body
from imparfait.serving.service import Service

VERSION = "1"
MAX_IMAGES = 256  # in a request


INFERENCE = errors(400, 403, 404, 408, 413, 415, 422, 429, 503)


class InputTensor(BaseModel):
    """Images: uint8 values of shape [n, channels, height, width], flat or nested."""

    name: Literal["images"]
    shape: Annotated[list[int], Field(min_length=4, max_length=4)]
    datatype: Literal["UINT8"]
    data: list[Any]


class InferRequest(BaseModel):
    """The body of an inference request."""

    id: str | None = Field(None, max_length=200)
    inputs: Annotated[list[InputTensor], Field(min_length=1, max_length=1)]


JSON_BODY = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": InferRequest.model_json_schema()}}}
}


def add_inference_protocol(app: FastAPI, service: Service) -> None:
    """Add the routes below /v2."""

    @app.get("/v2", responses=errors(403))
    async def server() -> Response:
        """Describe the server (Open Inference Protocol)."""
        return json_response({"name": "imparfait", "version": VERSION, "extensions": []})

    @app.get("/v2/health/live", responses=errors(403))
    async def live() -> Response:
        """Report that the server responds (Open Inference Protocol)."""
        return json_response({"live": True})

    @app.get("/v2/health/ready", responses=errors(403, 503))
    async def ready() -> Response:
        """Report whether the server is ready (Open Inference Protocol)."""
        if error := service.not_ready:
            raise error
        return json_response({"ready": True})

    @app.get("/v2/models/{name}", responses=errors(403, 404, 422))
    async def model(name: str) -> Response:
        """Describe a model's tensors (Open Inference Protocol)."""
        _check_name(name, service)
        form, classes = service.predictor.input_format, service.predictor.classes
        images = {"name": IMAGES, "datatype": "UINT8", "shape": [-1, form.channels, form.height, form.width]}
        outputs = {"name": PROBABILITIES, "datatype": "FP32", "shape": [-1, len(classes)]}
        platform = "imparfait_onnx"
        return json_response({"name": name, "platform": platform, "inputs": [images], "outputs": [outputs]})

    @app.get("/v2/models/{name}/ready", responses=errors(403, 404, 422, 503))
    async def model_ready(name: str) -> Response:
        """Report whether a model is ready (Open Inference Protocol)."""
        _check_name(name, service)
        if error := service.not_ready:
            raise error
        return json_response({"name": name, "ready": True})

    @app.post("/v2/models/{name}/infer", responses=INFERENCE, openapi_extra=JSON_BODY)
    async def infer(name: str, request: Request) -> Response:
        """Return the class probabilities of pixels as the model takes them (Open Inference Protocol)."""
        _check_name(name, service)
        body = await receive_body(request, service.settings.max_body_bytes, ("application/json",))
        try:
            asked = InferRequest.model_validate_json(body)
        except ValidationError as error:
            first = error.errors(include_input=False)[0]
            raise ApiError(422, f"{'.'.join(map(str, first['loc'])) or 'the body'}: {first['msg']}") from error
        pixels = _pixels(asked.inputs[0], service)

        async def answer() -> dict[str, Any]:
            await service.check_ready()
            results = await service.batchers["model"].predict(pixels)
            rows = np.stack([result.probabilities for result in results])
            output = {"name": PROBABILITIES, "datatype": "FP32", "shape": [*rows.shape]}
            return {"model_name": name, "outputs": [{**output, "data": [float(p) for p in rows.reshape(-1)]}]}

        content = await service.with_timeout(answer())
        return json_response(content if asked.id is None else {"id": asked.id, **content})


def _check_name(name: str, service: Service) -> None:
    if name != service.predictor.name:
        raise ApiError(404, "no such model; /v1/model has its name")


def _pixels(tensor: InputTensor, service: Service) -> np.ndarray:
    form = service.predictor.input_format
    shape = [form.channels, form.height, form.width]
    if tensor.shape[1:] != shape or not 1 <= tensor.shape[0] <= MAX_IMAGES:
        raise ApiError(
            422, f"inputs.0.shape: {tensor.shape}; expected [n, {', '.join(map(str, shape))}], n ≤ {MAX_IMAGES}"
        )
    try:
        values = np.array(tensor.data)
        if (
            values.dtype.kind not in "iu"
            or values.size != np.prod(tensor.shape)
            or not 0 <= values.min() <= values.max() <= 255
        ):
            raise ValueError
    except (ValueError, OverflowError) as error:
        raise ApiError(422, "inputs.0.data: expected as many whole numbers in 0..255 as the shape says") from error
    return values.reshape(tensor.shape).astype(np.uint8)

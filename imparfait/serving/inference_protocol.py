"""The Open Inference Protocol (version 2) beside /v1: tensors of pixels as the model takes them, as JSON."""

from typing import Any

import numpy as np
from fastapi import FastAPI, Request, Response

from imparfait.inference.image_workers.tensors import InferRequest
from imparfait.inference.predictor import IMAGES, PROBABILITIES
from imparfait.serving.errors import ApiError
from imparfait.serving.responses import errors, json_response, receive_body, while_connected
from imparfait.serving.service import Service

VERSION = "1"
INFERENCE = errors(400, 403, 404, 408, 413, 415, 422, 429, 503)


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

        async def answer() -> dict[str, Any]:
            await service.check_ready()
            with service.models.in_use() as models:
                number, pixels = await service.images.tensor(body, models.predictor.input_format)
                results = await models.batcher.predict(pixels)
            rows = np.stack([result.probabilities for result in results])
            output = {"name": PROBABILITIES, "datatype": "FP32", "shape": [*rows.shape]}
            outputs = [{**output, "data": [float(p) for p in rows.reshape(-1)]}]
            return {**({} if number is None else {"id": number}), "model_name": name, "outputs": outputs}

        return json_response(await while_connected(request, service.with_timeout(answer())))


def _check_name(name: str, service: Service) -> None:
    if name != service.predictor.name:
        raise ApiError(404, "no such model; /v1/model has its name")

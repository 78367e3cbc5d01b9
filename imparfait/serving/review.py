"""The HTTP API of `imparfait review`: unsure fields with their crops, decisions on them."""

from fastapi import FastAPI, Request, Response
from pydantic import BaseModel

from imparfait.inference.forms.review import Review
from imparfait.serving.errors import ApiError
from imparfait.serving.local_app import body_as, make_local_app
from imparfait.serving.responses import json_response


class DecisionRequest(BaseModel, extra="forbid"):
    """The body of a decision."""

    field: int
    """Its index among the unsure fields."""
    text: str
    confirmed: bool = False
    """Whether to save it although constraints forbid it."""


class UndoRequest(BaseModel, extra="forbid"):
    """The body of an undo, which is empty."""


def make_review_app(review: Review, token: str) -> FastAPI:
    """The ASGI application of a review, at `/TOKEN/`."""
    app = make_local_app("review.html", token)

    @app.get(f"/{token}/fields")
    async def fields() -> Response:
        """The unsure fields, and what is decided already."""
        return json_response(review.to_json())

    @app.get(f"/{token}/crops/{{index}}")
    async def crop(index: int) -> Response:
        """The crop of a field, with some context."""
        return Response(review.crop(_known(review, index)), media_type="image/jpeg")

    @app.post(f"/{token}/decisions")
    async def decide(request: Request) -> Response:
        """Save a decision; one that constraints forbid is saved if it is confirmed."""
        decision = await body_as(request, DecisionRequest)
        result = review.decide(_known(review, decision.field), decision.text, decision.confirmed)
        return json_response({"text": result.text, "objection": result.objection, "saved": result.saved})

    @app.post(f"/{token}/undo")
    async def undo(request: Request) -> Response:
        """Take back the newest decision; the index of its field, or null."""
        await body_as(request, UndoRequest)
        return json_response({"field": review.undo()})

    return app


def _known(review: Review, index: int) -> int:
    if not 0 <= index < len(review.fields):
        raise ApiError(404, f"there is no field {index}; expected 0 to {len(review.fields) - 1}")
    return index

"""The HTTP API of `imparfait label`: images with what a model predicts for them, and a person's labels."""

import asyncio
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Request, Response
from pydantic import BaseModel

from imparfait.core.storage import printable
from imparfait.data.image_files import page_at
from imparfait.data.images.encode import image_of
from imparfait.inference.active_learning import Candidate
from imparfait.inference.label_session import LabelSession
from imparfait.serving.errors import ApiError
from imparfait.serving.local_app import body_as, make_local_app
from imparfait.serving.responses import json_response

MAX_SIDE = 1600  # pixels of an image on the page
LOSSLESS_SIDE = 256  # pixels, up to which it is sent as PNG: the page shows each of them
JPEG_QUALITY = 90
MOST_PROBABLE = 12  # classes of which the page gets the probability
MAX_PATH = 4096  # characters


@dataclass(frozen=True)
class Labelling:
    """The images to label, what is predicted for them, and where labels are saved."""

    session: LabelSession
    candidates: Sequence[Candidate]
    classes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """All images, for the page; predictions are pairs of a class's index and its probability, the best first."""
        return {
            "table": _shown(str(self.session.table)),
            "classes": list(map(_shown, self.classes)),
            "images": [self._image_json(each) for each in self.candidates],
        }

    def _image_json(self, candidate: Candidate) -> dict[str, Any]:
        label, best = self.session.labels.get(candidate.file), candidate.ranked()[:MOST_PROBABLE]
        return {
            "file": _shown(candidate.file),
            "predictions": [[index, round(float(candidate.probabilities[index]), 4)] for index in best],
            "label": self.classes.index(label) if label in self.classes else None,
            "skipped": candidate.file in self.session.skipped,
        }


class LabelRequest(BaseModel, extra="forbid"):
    """The body of a label: the indices of an image and of a class."""

    image: int
    label: int


class SkipRequest(BaseModel, extra="forbid"):
    """The body of a skip: the index of an image."""

    image: int


class UndoRequest(BaseModel, extra="forbid"):
    """The body of an undo, which is empty."""


def make_label_app(labelling: Labelling, token: str) -> FastAPI:
    """The ASGI application of images to label, at `/TOKEN/`."""
    app = make_local_app("label.html", token)
    session, candidates = labelling.session, labelling.candidates
    places = {each.file: index for index, each in enumerate(candidates)}

    def known(index: int) -> Candidate:
        if not 0 <= index < len(candidates):
            raise ApiError(404, f"there is no image {index}; expected 0 to {len(candidates) - 1}")
        return candidates[index]

    @app.get(f"/{token}/images")
    async def images() -> Response:
        """The images with their predictions, and what is labelled already."""
        return json_response(labelling.to_json())

    @app.get(f"/{token}/images/{{index}}")
    async def image(index: int) -> Response:
        """An image as a browser shows it."""
        content, kind = await asyncio.to_thread(browser_image, known(index).file)
        return Response(content, media_type=kind)

    @app.post(f"/{token}/labels")
    async def label(request: Request) -> Response:
        """Save the label of an image."""
        given = await body_as(request, LabelRequest)
        if not 0 <= given.label < len(labelling.classes):
            raise ApiError(422, f"there is no class {given.label}; expected 0 to {len(labelling.classes) - 1}")
        session.decide(known(given.image).file, labelling.classes[given.label])
        return json_response({"label": given.label})

    @app.post(f"/{token}/skip")
    async def skip(request: Request) -> Response:
        """Leave an image without a label."""
        given = await body_as(request, SkipRequest)
        session.skip(known(given.image).file)
        return json_response({"skipped": True})

    @app.post(f"/{token}/undo")
    async def undo(request: Request) -> Response:
        """Take back the newest step of these images; the index of its image, or null."""
        await body_as(request, UndoRequest)
        newest = session.newest
        if newest not in places:
            return json_response({"image": None})
        session.undo()
        return json_response({"image": places[newest]})

    return app


def browser_image(file: str) -> tuple[bytes, str]:
    """An image file, upright, as PNG or JPEG, and its media type; raises UserError where it cannot be read."""
    image = image_of(page_at(file).pixels)
    image.thumbnail((MAX_SIDE, MAX_SIDE))
    kind = "PNG" if max(image.size) <= LOSSLESS_SIDE else "JPEG"
    buffer = io.BytesIO()
    image.save(buffer, kind, quality=JPEG_QUALITY)
    return buffer.getvalue(), f"image/{kind.lower()}"


def _shown(text: str) -> str:
    return printable(text, MAX_PATH)

"""The response of /v1/explain: which parts of an image the prediction depends on, as numbers and as an image."""

from typing import Any

import numpy as np
from pydantic import BaseModel, Field

from imparfait.core.errors import lookup
from imparfait.data.images.normalize import NormalizedImage
from imparfait.inference.explanation import explanation_from, with_covers
from imparfait.inference.explanation_sheet import coloured, full_colour
from imparfait.serving import schemas
from imparfait.serving.batching import Batcher


class ExplainQuery(BaseModel, extra="forbid"):
    """Query parameters of /v1/explain."""

    label: str | None = Field(None, max_length=200, description="the class to explain; by default the predicted one")


class ExplainResponse(BaseModel):
    """The response of /v1/explain."""

    model: str
    label: str = Field(description="the class that is explained")
    score: float = Field(description="its probability")
    lowest: float = Field(description="its probability with the cover where it matters most")
    prediction: schemas.PagePrediction
    drops: list[list[float]] = Field(
        description="by how much a cover lowers the probability, -1..1, for each place of the cover, row by row"
    )
    cover: tuple[int, int] = Field(description="height and width of the cover, in pixels of the model's input")
    full_colour: float = Field(description="the change of probability that has the full colour in `image`")
    image: str = Field(
        description="the model's input, orange where covering lowers the probability, blue where it raises it: a PNG "
        "as a data URL"
    )


async def explanation_response(page: NormalizedImage, batcher: Batcher, label: str | None) -> dict[str, Any]:
    """The explanation of a page, as `imparfait.explain` makes it; the covered copies wait in line with other images.

    Raises UserError for a class that the model does not have.
    """
    predictor = batcher.predictor
    if label is not None:
        lookup("class", label, {name: number for number, name in enumerate(predictor.classes)})
    batch, places = with_covers(page)
    results = await batcher.predict_pages(batch)
    probabilities = np.stack([result.probabilities for result in results])
    found = explanation_from(probabilities, page, places, predictor, label)
    rows, columns = places[0]
    return {
        "model": predictor.name,
        "label": found.label,
        "score": round(found.score, 6),
        "lowest": round(found.lowest, 6),
        "prediction": schemas.page_json(results[0], predictor.classes, page),
        "drops": [[round(float(drop), 6) for drop in row] for row in found.drops],
        "cover": (rows.stop - rows.start, columns.stop - columns.start),
        "full_colour": round(full_colour(found.map), 6),
        "image": schemas.data_url(coloured(found.model_input, found.map)),
    }

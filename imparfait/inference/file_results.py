"""Predictions for image files, page by page."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from imparfait.core.errors import UserError
from imparfait.data.images.normalize import NormalizedImage
from imparfait.inference.image_workers.client import ImageWorkers
from imparfait.inference.predictor import Prediction, Predictor


@dataclass(frozen=True, eq=False)
class FileResult:
    """The prediction for one page of a file, or why the file could not be decoded."""

    file: str
    prediction: Prediction | None = None
    preprocessing: str = ""
    """How the image was normalised."""
    page: int | None = None
    """From 1, of a file with several."""
    error: str | None = None
    framed: bool = False
    """Whether the image had the form of the model's input already, but for how it was stored."""

    def to_json(self, model: str) -> dict[str, Any]:
        """One line of `predict --json`."""
        content: dict[str, Any] = {"file": self.file}
        if self.page:
            content["page"] = self.page
        if self.prediction:
            return {**content, "model": model, **self.prediction.to_json(), "preprocessing": self.preprocessing}
        return {**content, "model": model, "error": self.error}


def file_results(
    files: Sequence[str], predictor: Predictor, workers: ImageWorkers, folder: str = ""
) -> list[FileResult]:
    """The result for each page of each file, in order, from one call of the model.

    Names are relative to `folder`, by default the current one. Images that are not small are decoded in a worker.
    """
    results: list[FileResult] = []
    images: list[NormalizedImage] = []
    for file in files:
        path = os.path.join(folder, file)  # noqa: PTH118 - faster
        pages: list[NormalizedImage] = []
        error = None
        try:
            pages.extend(workers.normalized(path, predictor.input_format, file))
        except UserError as problem:  # of one file among many; pages before a broken one are kept
            error = str(problem).removeprefix(f"{path}: ").removeprefix(f"{file}: ")
        several = len(pages) > 1 or bool(pages and error)
        for number, image in enumerate(pages, 1):
            page = number if several else None
            results.append(FileResult(file, None, image.preprocessing, page, framed=image.unchanged))
        images += pages
        if error is not None:
            results.append(FileResult(file, error=error))
    predictions = iter(predictor.predict(images))
    return [result if result.error else replace(result, prediction=next(predictions)) for result in results]

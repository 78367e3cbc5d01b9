"""Dynamic batching: images of concurrent requests are predicted in one call."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Bool, Float32

from imparfait.core.errors import UserError
from imparfait.core.types import Pixels
from imparfait.data.images.normalize import NormalizedImage
from imparfait.evaluation.external.sandbox.client import KilledError
from imparfait.inference.predictor import Prediction, Predictor, pooled, views_of
from imparfait.serving.errors import ApiError
from imparfait.serving.jobs import Jobs

MAX_BATCH_IMAGES = 64  # 20 to 30 ms of a pretrained network
MAX_REQUEST_IMAGES = 32  # of one request in a batch; other requests may come before the rest

OUT_OF_MEMORY = ApiError(503, "the system has ended the model's process, perhaps for want of memory; try again later")


@dataclass(frozen=True, eq=False)
class BatchResult:
    """The prediction for an image and the probability of each class."""

    prediction: Prediction
    probabilities: Float32[np.ndarray, " classes"]


@dataclass(frozen=True, eq=False)
class PendingRequest:
    """Images in the queue, which of them are blank, and the future of their results."""

    pixels: Pixels
    blank: Bool[np.ndarray, " n"]
    results: "asyncio.Future[list[BatchResult]]"


class Batcher:
    """Batches the requests that arrive while the predictor is running.

    An idle predictor starts at once. It runs in a thread of `executor`, one batch after the other.
    """

    def __init__(self, predictor: Predictor, executor: Executor, jobs: Jobs):
        self.predictor = predictor
        self._executor, self._jobs = executor, jobs
        self.queue: list[PendingRequest] = []
        self._worker: asyncio.Task[None] | None = None

    async def predict_pages(self, pages: Sequence[NormalizedImage]) -> list[BatchResult]:
        """Predict each page of an image file."""
        pixels, owners = views_of(pages, self.predictor.input_format.two_views)
        empty = np.array([pages[owner].empty for owner in owners])
        results = await self.predict(pixels, empty)
        if len(results) == len(pages):
            return results
        probabilities = pooled(np.stack([result.probabilities for result in results]), owners)
        predictions = self.predictor.predictions_from(probabilities, pixels[: len(pages)], empty[: len(pages)])
        return [BatchResult(prediction, row) for prediction, row in zip(predictions, probabilities, strict=True)]

    async def predict(self, pixels: Pixels, blank: Bool[np.ndarray, " n"] | None = None) -> list[BatchResult]:
        """Predict each image; `blank` is as in `Predictor.predict_pixels`."""
        blank = np.zeros(len(pixels), bool) if blank is None else blank
        results: list[BatchResult] = []
        for start in range(0, len(pixels), MAX_REQUEST_IMAGES):
            part = slice(start, start + MAX_REQUEST_IMAGES)
            results += await self._enqueue(pixels[part], blank[part])
        return results

    async def _enqueue(self, pixels: Pixels, blank: Bool[np.ndarray, " n"]) -> list[BatchResult]:
        results = asyncio.get_running_loop().create_future()
        self.queue.append(PendingRequest(pixels, blank, results))
        if self._worker is None:
            self._worker = asyncio.create_task(self._work())
        return list(await results)

    async def _work(self) -> None:
        try:
            while self.queue:
                batch = self._next_batch()
                if not batch:
                    continue
                try:
                    results = await self._jobs.run(self._executor, partial(self._predict_batch, batch))
                except Exception as error:
                    for request in batch:
                        if not request.results.done():
                            request.results.set_exception(error)
                    continue
                start = 0
                for request in batch:
                    if not request.results.done():  # it is, where a request has timed out
                        request.results.set_result(results[start : start + len(request.pixels)])
                    start += len(request.pixels)
        finally:
            self._worker = None

    def _next_batch(self) -> list[PendingRequest]:
        """Take the oldest requests that fit into one batch; those nobody waits for any more are dropped."""
        self.queue = [request for request in self.queue if not request.results.done()]
        images = taken = 0
        while taken < len(self.queue) and (not taken or images + len(self.queue[taken].pixels) <= MAX_BATCH_IMAGES):
            images += len(self.queue[taken].pixels)
            taken += 1
        batch, self.queue = self.queue[:taken], self.queue[taken:]
        return batch

    def _predict_batch(self, batch: Sequence[PendingRequest]) -> list[BatchResult]:
        pixels = np.concatenate([request.pixels for request in batch])
        blank = np.concatenate([request.blank for request in batch])
        try:
            probabilities = self.predictor.predict_proba(pixels)
        except KilledError as error:  # twice
            raise OUT_OF_MEMORY.fresh() from error
        except UserError as error:
            raise RuntimeError(str(error)) from error  # the model's fault, not the client's
        predictions = self.predictor.predictions_from(probabilities, pixels, blank)
        return [BatchResult(prediction, row) for prediction, row in zip(predictions, probabilities, strict=True)]

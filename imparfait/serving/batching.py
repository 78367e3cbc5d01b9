"""Images of requests that come at the same time, asked in one call."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32

from imparfait.core.types import Pixels
from imparfait.data.images.normalize import NormalizedImage
from imparfait.inference.predictor import Prediction, Predictor

MOST = 64  # images asked at once: 20 to 30 ms of the network in the box
PART = 32  # images of one request, after which others may come in between


@dataclass(frozen=True, eq=False)
class BatchResult:
    """What a classifier says of an image, and the probability of each class."""

    answer: Prediction
    probabilities: Float32[np.ndarray, " classes"]


@dataclass(frozen=True, eq=False)
class PendingRequest:
    """Images that are waiting, with those marked on which nothing was found, and who waits for them."""

    pixels: Pixels
    empty: Bool[np.ndarray, " n"]
    told: "asyncio.Future[list[BatchResult]]"


class Batcher:
    """A classifier that is asked by many at once: whoever comes while it answers is asked together with the others.

    Nobody waits when it is idle. It answers in a thread of `pool`, one batch after the other.
    """

    def __init__(self, ready: Predictor, pool: Executor):
        self.ready = ready
        self._pool = pool
        self.waiting: list[PendingRequest] = []
        self._turn: asyncio.Task[None] | None = None

    async def decoded(self, pages: Sequence[NormalizedImage]) -> list[BatchResult]:
        """What it says of each page of an image."""
        pixels = np.stack([each.pixels for each in pages])
        return await self.told(pixels, np.array([each.polarity is None and not each.unchanged for each in pages]))

    async def told(self, pixels: Pixels, empty: Bool[np.ndarray, " n"] | None = None) -> list[BatchResult]:
        """What it says of each of these images; `empty` as in `Predictor.predict_pixels`."""
        empty = np.zeros(len(pixels), bool) if empty is None else empty
        found: list[BatchResult] = []
        for start in range(0, len(pixels), PART):
            found += await self._told(pixels[start : start + PART], empty[start : start + PART])
        return found

    async def _told(self, pixels: Pixels, empty: Bool[np.ndarray, " n"]) -> list[BatchResult]:
        waiting = asyncio.get_running_loop().create_future()
        self.waiting.append(PendingRequest(pixels, empty, waiting))
        if self._turn is None:
            self._turn = asyncio.create_task(self._answer())
        return list(await waiting)

    async def _answer(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self.waiting:
                batch = self._next()
                try:
                    found = await loop.run_in_executor(self._pool, self._ask, batch)
                except Exception as error:
                    for each in batch:
                        if not each.told.done():
                            each.told.set_exception(error)
                    continue
                start = 0
                for each in batch:
                    if not each.told.done():  # whoever no longer waits has been answered otherwise
                        each.told.set_result(found[start : start + len(each.pixels)])
                    start += len(each.pixels)
        finally:
            self._turn = None

    def _next(self) -> list[PendingRequest]:
        """Those who have waited longest."""
        count, taken = 0, 0
        while taken < len(self.waiting) and (not taken or count + len(self.waiting[taken].pixels) <= MOST):
            count += len(self.waiting[taken].pixels)
            taken += 1
        batch, self.waiting = self.waiting[:taken], self.waiting[taken:]
        return batch

    def _ask(self, batch: Sequence[PendingRequest]) -> list[BatchResult]:
        pixels = np.concatenate([each.pixels for each in batch])
        shares = self.ready.probabilities(pixels)
        answers = self.ready.predictions_from(shares, pixels, np.concatenate([each.empty for each in batch]))
        return [BatchResult(answer, row) for answer, row in zip(answers, shares, strict=True)]

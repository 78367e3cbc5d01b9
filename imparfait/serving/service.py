"""What a server knows and does, without HTTP: models, decoding, who may come in."""

import asyncio
import importlib.util
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from types import ModuleType
from typing import Any, Literal, TypeVar

import numpy as np

from imparfait.core.errors import UserError
from imparfait.core.types import Pixels
from imparfait.data.images.decode import read_pages
from imparfait.data.images.limits import Limits, TooLargeError
from imparfait.data.images.normalize import Frame, NormalizedImage, decode
from imparfait.inference.loading import load_predictor_with_card
from imparfait.inference.predictor import Predictor
from imparfait.models.metadata import Card
from imparfait.models.pretrained import PRETRAINED
from imparfait.serving import schemas, self_test
from imparfait.serving.batching import Batcher, BatchResult
from imparfait.serving.concurrency import ConcurrencyLimiter
from imparfait.serving.errors import RefusedError
from imparfait.serving.settings import ServingSettings

logger = logging.getLogger(__name__)
State = Literal["starting", "ready", "draining"]
T = TypeVar("T")
BESIDE = {"digits": "digits-clean"}
"""The model that is shown beside another."""
SMALL = 1 << 16  # bytes: of a drawing they are 2,000, of a photograph a million
OpenModel = tuple[Predictor, Card | None]
NEEDS_TORCH = "altering images needs imparfait[train]; write: pip install 'imparfait[train]'"


def models_for(model: str) -> dict[str, OpenModel]:
    """The model called so, as "model"; and the one that is shown beside it, where there is one, as "beside".

    Raises UserError where there is no such model.
    """
    opened = {"model": load_predictor_with_card(model)}
    other = BESIDE.get(model)
    if other and (PRETRAINED[other].folder / "model.onnx").exists():
        opened["beside"] = load_predictor_with_card(other)
    return opened


class Service:
    """The models, opened; where they are asked; and how many images are inside."""

    def __init__(self, models: Mapping[str, OpenModel], settings: ServingSettings):
        self.settings = settings
        self.state: State = "starting"
        self.why_not_ready = "the models have not been tried yet"
        # Photographs wait for each other, so that digits need not wait for photographs.
        self._decoding = ThreadPoolExecutor(2, "decoding")
        self._decoding_large = ThreadPoolExecutor(1, "decoding large ones")
        self._asking = ThreadPoolExecutor(len(models), "asking")
        self._altering = ThreadPoolExecutor(1, "altering")
        self.asked = {who: Batcher(ready, self._asking) for who, (ready, _) in models.items()}
        self.cards = {who: card for who, (_, card) in models.items()}
        self._jobs: set[Future[Any]] = set()
        self._limits = Limits(settings.bytes, settings.megapixels * 10**6, settings.pages)
        self.places = ConcurrencyLimiter(settings.waiting, 8 * settings.bytes, settings.each_client)

    @property
    def frame(self) -> Frame:
        """The images that the model takes; the one beside it takes the same."""
        return self.asked["model"].ready.frame

    async def prove(self) -> None:
        """Have the models answer the golden image; with the right answers the service is ready."""
        try:
            for who, batcher in self.asked.items():
                judge = partial(self_test.what_is_wrong, batcher.ready, self.cards[who])
                wrong = await self._in(self._asking, judge)
                if wrong:
                    self.why_not_ready = wrong
                    return
        except Exception:
            logger.exception("the golden image was not answered")
            self.why_not_ready = "the golden image was not answered; why is in the server's own output"
            return
        if self.state == "starting":
            self.state = "ready"

    def drain(self) -> None:
        """From now on it is not ready, and no connection outlives its answer."""
        self.state, self.why_not_ready = "draining", "the server is about to end"
        self.places.closing = True

    def end(self) -> None:
        """Let its threads go; one that still works at an image is not waited for."""
        for pool in (self._decoding, self._decoding_large, self._asking, self._altering):
            pool.shutdown(wait=False, cancel_futures=True)

    @property
    def busy(self) -> bool:
        """Whether a thread is still at work, though nobody may wait for it any more."""
        return bool(self._jobs)

    async def in_time(self, answer: Awaitable[T]) -> T:
        """What it gives; raises RefusedError when it takes too long."""
        try:
            async with asyncio.timeout(self.settings.answer_seconds):
                return await answer
        except TimeoutError:
            seconds = self.settings.answer_seconds
            raise RefusedError(503, f"no answer within {seconds:g} s; try a smaller image", "no_answer") from None

    async def predict(self, content: bytes, beside: bool) -> dict[str, Any]:
        """The answer to /v1/predict; `beside` asks the other model too, about the first page."""
        pages = await self._pages(content)
        model = self.asked["model"]
        other = self.asked.get("beside") if beside else None
        told, of_first = await asyncio.gather(model.decoded(pages), other.decoded(pages[:1]) if other else _nothing())
        classes = model.ready.classes
        answer: dict[str, Any] = {
            "model": model.ready.name,
            "pages": [schemas.page(each, classes, decoded) for each, decoded in zip(told, pages, strict=True)],
        }
        if other:
            answer["beside"] = _said(other, of_first[0])
        return answer

    async def read(self, content: bytes) -> dict[str, Any]:
        """The answer to /v1/read."""
        ready = self.asked["model"].ready
        pages = await self._in(self._decoding_large, lambda: self._read(content, ready))
        return {"model": ready.name, "pages": pages}

    async def alter(self, content: bytes, name: str, severity: float, seed: int) -> dict[str, Any]:
        """The answer to /v1/alter."""
        corruptions = await self.corruptions()
        pages = await self._pages(content)
        pixels = await self._in(self._altering, lambda: corruptions.corrupt(pages[0].pixels, name, severity, seed))
        told = await self._by_each(pixels[None])
        answers = {who: _said(batcher, told[who][0]) for who, batcher in self.asked.items()}
        return {"altered": schemas.data_url(pixels), **answers}

    async def break_it(self, content: bytes) -> dict[str, Any]:
        """The answer to /v1/break."""
        corruptions = await self.corruptions()
        pages = await self._pages(content)
        clean = pages[0].pixels[None]
        rows = await self._in(self._altering, lambda: corruptions.corrupt_all(clean[0]))
        batch = np.concatenate([clean, *(row.pixels for row in rows)])
        told = await self._by_each(batch)
        start, found = 1, []
        for row in rows:
            end = start + len(row.levels)
            of_each = {who: _levels(all_[start:end], row.levels, all_[0].answer.label) for who, all_ in told.items()}
            found.append({**row.told, **of_each})
            start = end
        return {"levels": corruptions.LEVELS, "models": self.names, "corruptions": found}

    @property
    def names(self) -> dict[str, str]:
        """What the model is called, and the one beside it."""
        return {who: each.ready.name for who, each in self.asked.items()}

    async def corruptions(self) -> ModuleType:
        """The module that alters, imported when it is first asked for: a second or more, which no answer's time counts.

        Raises RefusedError without torch.
        """
        if not can_alter():
            raise RefusedError(501, NEEDS_TORCH)
        return await self._in(self._altering, _altering)

    async def _by_each(self, pixels: Pixels) -> dict[str, list[BatchResult]]:
        """What each of the models says of these images."""
        told = await asyncio.gather(*(batcher.told(pixels) for batcher in self.asked.values()))
        return dict(zip(self.asked, told, strict=True))

    async def _in(self, pool: Executor, work: Callable[[], T]) -> T:
        job = pool.submit(work)
        self._jobs.add(job)
        job.add_done_callback(self._jobs.discard)
        return await asyncio.wrap_future(job)

    async def _pages(self, content: bytes) -> list[NormalizedImage]:
        pool = self._decoding if len(content) <= SMALL else self._decoding_large
        return await self._in(pool, lambda: self._decoded(content))

    def _read(self, content: bytes, ready: Predictor) -> list[dict[str, Any]]:
        from imparfait.inference.ocr import read_page  # late: scipy.ndimage, which digits do not need

        until = time.monotonic() + self.settings.answer_seconds
        pages = []
        with _in_one_refusal():
            for page in read_pages(content, "the image", self._limits):
                pages.append(read_page(page, ready).to_json())
                if time.monotonic() > until:
                    break
        return pages

    def _decoded(self, content: bytes) -> list[NormalizedImage]:
        until = time.monotonic() + self.settings.answer_seconds
        pages = []
        for page in read(content, self.frame, self._limits):
            pages.append(page)
            if time.monotonic() > until:  # nobody waits for it any more
                break
        return pages


def read(content: bytes, frame: Frame, limits: Limits) -> Iterator[NormalizedImage]:
    """The pages of an image; raises RefusedError, in one sentence, for one that cannot be read."""
    with _in_one_refusal():
        yield from decode(content, frame, "the image", limits)


@contextmanager
def _in_one_refusal() -> Iterator[None]:
    try:
        yield
    except UserError as error:
        too_large = isinstance(error.__cause__, TooLargeError)
        raise RefusedError(413 if too_large else 422, str(error)) from error


async def _nothing() -> list[BatchResult]:
    return []


def _altering() -> ModuleType:
    from imparfait.serving import corruptions

    return corruptions


def can_alter() -> bool:
    """Whether torch is installed; it is not imported."""
    return importlib.util.find_spec("torch") is not None


def _said(batcher: Batcher, told: BatchResult) -> dict[str, Any]:
    return {"model": batcher.ready.name, **schemas.said(told, batcher.ready.classes)}


def _levels(told: list[BatchResult], levels: tuple[float, ...], clean: str) -> dict[str, Any]:
    labels = [each.answer.label for each in told]
    broken = (level for level, label in zip(levels, labels, strict=True) if label != clean)
    return {
        "labels": labels,
        "scores": [round(each.answer.score, 6) for each in told],
        "breaks_at": next(broken, None),
    }

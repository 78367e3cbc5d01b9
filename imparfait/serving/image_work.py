"""Decoding and reading of the images in requests: small ones in a thread, all others in image workers."""

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

from imparfait.core.errors import UserError
from imparfait.core.types import Pixels
from imparfait.data.images.decode import Page
from imparfait.data.images.input_format import InputFormat
from imparfait.data.images.limits import Limits, TooLargeError, other_kind
from imparfait.data.images.normalize import NormalizedImage
from imparfait.inference.image_workers.client import SMALL_BYTES, ImageWorkers, small_normalized
from imparfait.inference.image_workers.worker import WorkerLimits, WorkLimitError
from imparfait.inference.predictor import Predictor
from imparfait.serving.errors import ApiError
from imparfait.serving.jobs import Jobs
from imparfait.serving.settings import ServingSettings

T = TypeVar("T")
NAME = "the image"
VERB = re.compile("(is|has|needs|makes|ends|cannot) ")
BROKEN = "a broken image "
BUSY = ApiError(503, "large images and pages fill their share of the server; try again in a second")


def make_workers(settings: ServingSettings) -> ImageWorkers:
    """The image workers of a server."""
    limits = WorkerLimits(
        settings.image_seconds, settings.answer_seconds, settings.image_mebibytes << 20, of_each_page=False
    )
    return ImageWorkers(settings.image_workers, limits)


class ImageWork:
    """Executors for images. Large images and pages get at most half of the request slots: small ones are served on."""

    def __init__(self, settings: ServingSettings, jobs: Jobs, workers: ImageWorkers | None = None):
        self._jobs = jobs
        self._owned = workers is None
        self.workers = workers or make_workers(settings)
        self._limits = Limits(bytes=settings.max_body_bytes, pixels=settings.megapixels * 10**6, pages=settings.pages)
        # One thread: normalisation is many short NumPy calls, and two threads of them wait for each other's GIL.
        self._small = ThreadPoolExecutor(1, "decode")
        self._large = ThreadPoolExecutor(settings.image_workers, "image-worker")
        self._max_large = max(1, settings.waiting // 2)
        self._active_large = 0

    async def normalized(self, content: bytes, form: InputFormat) -> list[NormalizedImage]:
        """The pages of an image file as a model takes them. Raises ApiError as `readings` does."""
        if len(content) <= SMALL_BYTES:
            small = await self._jobs.run(self._small, partial(self._small_image, content, form))
            if small is not None:
                return [small]
        return await self._in_worker(content, lambda: list(self.workers.normalized(content, form, NAME, self._limits)))

    async def readings(
        self, content: bytes, predictor: Predictor, with_inputs: bool
    ) -> list[tuple[dict[str, Any], list[Pixels]]]:
        """The digits on each page of an image file, and on request the model's input for each of them.

        Raises ApiError for what is no image or takes too much time or memory, and where too many requests wait.
        """
        return await self._in_worker(
            content, lambda: list(self.workers.readings_json(content, predictor, NAME, self._limits, with_inputs))
        )

    async def upright(self, content: bytes) -> Page:
        """The first page of an image file as a person sees it. Raises ApiError as `readings` does."""
        return await self._in_worker(
            content, lambda: next(iter(self.workers.pages(content, NAME, self._limits, pdf=False)))
        )

    async def tensor(self, content: bytes, form: InputFormat) -> tuple[str | None, Pixels]:
        """The id and the images of a request of the Open Inference Protocol. Raises ApiError as `readings` does."""
        shape = form.channels, form.height, form.width

        def parse() -> tuple[str | None, Pixels]:
            try:
                return self.workers.tensor(content, shape, "the request")
            except WorkLimitError as error:
                raise ApiError(413, f"{error.received}; send fewer images at once") from error
            except UserError as error:
                raise ApiError(422, str(error)) from error

        if len(content) <= SMALL_BYTES:
            return await self._jobs.run(self._small, parse)
        return await self._limited(parse)

    def end(self) -> None:
        """End the workers, and the threads without waiting for running jobs."""
        if self._owned:
            self.workers.close()
        for executor in (self._small, self._large):
            executor.shutdown(wait=False, cancel_futures=True)

    def _small_image(self, content: bytes, form: InputFormat) -> NormalizedImage | None:
        with _user_errors_as_api_errors(content):
            return small_normalized(content, form, NAME, self._limits)

    async def _in_worker(self, content: bytes, work: Callable[[], T]) -> T:
        def checked() -> T:
            with _user_errors_as_api_errors(content):
                return work()

        return await self._limited(checked)

    async def _limited(self, work: Callable[[], T]) -> T:
        if self._active_large >= self._max_large:
            raise BUSY.fresh()

        self._active_large += 1
        try:
            return await self._jobs.run(self._large, work)
        finally:
            self._active_large -= 1


@contextmanager
def _user_errors_as_api_errors(content: bytes) -> Iterator[None]:
    """Errors of an image file as responses; `content` tells those that are no image what they are."""
    try:
        yield
    except UserError as error:
        too_large = isinstance(error, WorkLimitError) or isinstance(error.__cause__, TooLargeError)
        said = str(error).removeprefix(f"{NAME}: ")
        detail = other_kind(content) or ("broken" if said.startswith(BROKEN) else "")
        said = f"is {said}" if detail == "broken" else said
        message = f"the file {said}" if VERB.match(said) else str(error)
        raise ApiError(413 if too_large else 422, message, detail=detail) from error

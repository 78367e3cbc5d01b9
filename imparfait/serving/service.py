"""The service behind the HTTP API: models, executors, limits and response bodies."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar

from imparfait.core.errors import UserError
from imparfait.inference.image_workers.client import ImageWorkers
from imparfait.inference.predictor import Predictor
from imparfait.serving import schemas, self_test
from imparfait.serving.access_log import AccessLog, page_entry
from imparfait.serving.batching import BatchResult
from imparfait.serving.collection import Collection
from imparfait.serving.concurrency import ConcurrencyLimiter
from imparfait.serving.errors import ApiError
from imparfait.serving.explanations import explanation_response
from imparfait.serving.image_work import ImageWork
from imparfait.serving.jobs import Jobs
from imparfait.serving.metrics import Metrics, metrics_text
from imparfait.serving.models import LoadedModel, ServedModels
from imparfait.serving.robustness import NEEDS_TORCH, Robustness, can_corrupt
from imparfait.serving.scoreboard import Scoreboard
from imparfait.serving.scoreboard import State as WorkerState
from imparfait.serving.settings import ServingSettings

logger = logging.getLogger(__name__)
State = Literal["starting", "ready", "draining"]
T = TypeVar("T")
BUFFERED_BODIES = 8  # bodies of the maximum size that may be in memory at once


class Service:
    """Loaded models with their executors, and the limit of concurrent requests.

    `models` holds "model" and perhaps "baseline". Methods that return a dict return a response body.
    """

    def __init__(
        self,
        models: Mapping[str, LoadedModel],
        settings: ServingSettings,
        workers: ImageWorkers | None = None,
        scoreboard: Scoreboard | None = None,
        number: int = 0,
    ):
        """`workers`: for images that are not small; None for workers of its own.

        `scoreboard` and `number`: those of this process among several that serve.
        """
        self.settings, self.number = settings, number
        self.scoreboard = scoreboard or Scoreboard()
        self.state: State = "starting"
        self.not_ready_reason = "the self-test has not finished"
        self._tested = asyncio.Event()
        self.metrics, self.log = Metrics(self.scoreboard.regions[number]), AccessLog(settings.log)
        self.jobs = Jobs(settings.answer_seconds)
        self.images = ImageWork(settings, self.jobs, workers)
        self._predict_executor = ThreadPoolExecutor(len(models), "predict")
        self._reload_executor = ThreadPoolExecutor(1, "reload")
        self.models = ServedModels(models, self._predict_executor, self.jobs)
        max_bytes = BUFFERED_BODIES * settings.max_body_bytes
        self.limiter = ConcurrencyLimiter(settings.waiting, max_bytes, settings.each_client)
        self._loaded: Mapping[str, LoadedModel] | None = None
        self.robustness = Robustness(self)
        self.collection = Collection(Path(settings.collect)) if settings.collect else None

    @property
    def predictor(self) -> Predictor:
        """The model that is served now; a request that predicts keeps its models with `models.in_use`."""
        return self.models.predictor

    @property
    def not_ready(self) -> ApiError | None:
        """Why the server should get no requests: its state, or a stuck thread; None where all processes are ready."""
        others = self.scoreboard.not_ready_reason(self.number)
        return self._not_ready or (ApiError(503, others, "worker") if others else None)

    @property
    def _not_ready(self) -> ApiError | None:
        if self.state != "ready":
            return ApiError(503, self.not_ready_reason, self.state)
        return ApiError(503, self.jobs.stuck, "stuck") if self.jobs.stuck else None

    def report(self) -> None:
        """Tell the other processes the state of this one."""
        state = WorkerState.NOT_READY if self._not_ready else WorkerState.READY
        state = WorkerState.ABSENT if self.state == "draining" else state
        self.scoreboard.regions[self.number].report(state, self.limiter.active)

    async def run_self_test(self) -> None:
        """Test each model with the self-test image; the service is ready if all pass."""
        try:
            for role, batcher in self.models.batchers.items():
                test = partial(self_test.failure, batcher.predictor, self.models.metadata[role])
                failure = await self.jobs.run(self._predict_executor, test)
                if failure:
                    self.not_ready_reason = failure
                    return
        except Exception:
            logger.exception("the self-test raised an exception")
            self.not_ready_reason = "the self-test raised an exception; see the server's log"
            return
        else:
            if self.state == "starting":
                self.state = "ready"
        finally:
            self._tested.set()

    async def check_ready(self) -> None:
        """Wait for the self-test; raises ApiError where the model has failed it."""
        await self._tested.wait()
        if self.state == "starting":
            raise ApiError(503, self.not_ready_reason, self.state)

    def drain(self) -> None:
        """Stop being ready, and close each connection after its next response."""
        self.state, self.not_ready_reason = "draining", "the server is shutting down"
        self.limiter.closing = True

    def end(self) -> None:
        """Shut the executors down without waiting for running jobs."""
        self.images.end()
        self.robustness.end()
        self.log.close()
        for executor in (self._predict_executor, self._reload_executor):
            executor.shutdown(wait=False, cancel_futures=True)

    async def load_again(self, load: Callable[[], dict[str, LoadedModel]]) -> str:
        """Load the models again and test them; why they cannot replace the present ones, or an empty string."""
        self.forget_loaded()
        loaded: Mapping[str, LoadedModel] = {}
        failure: str | None = None
        try:
            loaded = await self.jobs.run(self._reload_executor, load, watched=False)
            for predictor, metadata in loaded.values():
                test = partial(self_test.failure, predictor, metadata)
                failure = failure or await self.jobs.run(self._reload_executor, test, watched=False)
        except UserError as error:
            failure = str(error)
        except Exception as error:  # a supervisor waits for the answer of each worker
            logger.exception("loading the model again raised an exception")
            failure = f"loading the model again raised {type(error).__name__}; see the server's log"
        self._loaded = loaded
        if failure:
            self.forget_loaded()
        return failure or ""

    def forget_loaded(self) -> None:
        """Close and forget the models that `load_again` has loaded; the present ones stay."""
        loaded, self._loaded = self._loaded or {}, None
        for predictor, _ in loaded.values():
            self._reload_executor.submit(predictor.close)

    def replace_models(self) -> None:
        """Answer new requests with the models that `load_again` has loaded; those in progress keep theirs."""
        loaded, self._loaded = self._loaded, None
        if loaded is not None:
            self.models.retire()
            self.models = ServedModels(loaded, self._predict_executor, self.jobs)

    def metrics_text(self) -> str:
        """The counts of all processes of this server for Prometheus."""
        self.report()
        board = self.scoreboard
        gauges = {"requests_in_progress": board.active, "ready": self.not_ready is None, "workers": board.present}
        return metrics_text(board.counts(), gauges)

    async def with_timeout(self, response: Awaitable[T]) -> T:
        """The awaited response; raises ApiError when it takes too long."""
        try:
            async with asyncio.timeout(self.settings.answer_seconds):
                return await response
        except TimeoutError:
            seconds = self.settings.answer_seconds
            raise ApiError(503, f"no response within {seconds:g} s; try a smaller image", "timeout") from None

    def model_info(self) -> dict[str, Any]:
        """The response of /v1/model."""
        predictor, metadata = self.predictor, self.models.metadata["model"]
        available = can_corrupt()
        return schemas.ModelInfo(
            model=predictor.name,
            network=metadata.model if metadata else None,
            recipe=metadata.recipe if metadata else None,
            classes=list(predictor.classes),
            input=predictor.input_format,
            threshold=predictor.threshold,
            temperature=metadata.temperature if metadata else None,
            parity=metadata.parity if metadata else None,
            weights=metadata.weights if metadata else None,
            baseline=self.models.names.get("baseline"),
            corruptions=schemas.CorruptionSupport(available=available, needs=None if available else NEEDS_TORCH),
            collects=self.collection is not None,
        ).model_dump(mode="json")

    async def predict(
        self, content: bytes, with_baseline: bool, observed: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """The response of /v1/predict; `observed` gets what the access log tells of it."""
        with self.models.in_use() as models:
            pages = await self.images.normalized(content, models.predictor.input_format)
            baseline = models.batchers.get("baseline") if with_baseline else None
            results, of_baseline = await asyncio.gather(
                models.batcher.predict_pages(pages), baseline.predict_pages(pages[:1]) if baseline else _no_results()
            )
        for result in results:
            best = result.prediction
            self.metrics.count_prediction(best.label, best.score, best.confident)
        name, classes = models.predictor.name, models.predictor.classes
        if observed is not None and self.log.is_on:
            observed["model"] = name
            observed["pages"] = [
                page_entry(result.prediction, page) for result, page in zip(results, pages, strict=True)
            ]
        response: dict[str, Any] = {
            "model": name,
            "pages": [schemas.page_json(result, classes, page) for result, page in zip(results, pages, strict=True)],
        }
        if baseline:
            response["baseline"] = schemas.model_prediction_json(baseline.predictor, of_baseline[0])
        return response

    async def explain(self, content: bytes, label: str | None) -> dict[str, Any]:
        """The response of /v1/explain, for the first page."""
        with self.models.in_use() as models:
            pages = await self.images.normalized(content, models.predictor.input_format)
            return await explanation_response(pages[0], models.batcher, label)

    async def read(self, content: bytes, with_inputs: bool = False) -> dict[str, Any]:
        """The response of /v1/read."""
        with self.models.in_use() as models:
            readings = await self.images.readings(content, models.predictor, with_inputs)
            return {"model": models.predictor.name, "pages": [schemas.reading_json(*reading) for reading in readings]}

    async def collect(self, content: bytes, label: str) -> dict[str, Any]:
        """The response of /v1/collect."""
        collection = self.collection
        if not collection:
            raise ApiError(403, "this server collects no images; start it with --collect DIR")
        predictor = self.predictor
        collection.check(label, predictor.classes)
        page = await self.images.upright(content)
        return await asyncio.to_thread(collection.save, page, label, predictor.name)


async def _no_results() -> list[BatchResult]:
    return []

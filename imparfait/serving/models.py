"""The models that a server answers with: the served one, and the baseline it is compared with."""

import asyncio
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from contextlib import contextmanager, suppress

from imparfait.core.types import Pixels
from imparfait.inference.loading import load_predictor_with_metadata
from imparfait.inference.predictor import Predictor
from imparfait.models.metadata import ExportMetadata
from imparfait.models.pretrained import PRETRAINED
from imparfait.serving.batching import Batcher, BatchResult
from imparfait.serving.jobs import Jobs

BASELINES = {"digits": "digits-clean"}
"""The model that each model is compared with."""
LoadedModel = tuple[Predictor, ExportMetadata | None]


class ServedModels:
    """A model, perhaps with its baseline. A request uses the same ones from its beginning to its end."""

    def __init__(self, models: Mapping[str, LoadedModel], executor: Executor, jobs: Jobs):
        """`models` holds "model" and perhaps "baseline", which predict in threads of `executor`."""
        self.batchers = {role: Batcher(predictor, executor, jobs) for role, (predictor, _) in models.items()}
        self.metadata = {role: metadata for role, (_, metadata) in models.items()}
        self._executor = executor
        self._requests, self._is_retired = 0, False

    @property
    def batcher(self) -> Batcher:
        """Of the served model."""
        return self.batchers["model"]

    @property
    def predictor(self) -> Predictor:
        """The served model; its baseline has the same classes and input."""
        return self.batcher.predictor

    @property
    def names(self) -> dict[str, str]:
        """The names of the model and its baseline."""
        return {role: batcher.predictor.name for role, batcher in self.batchers.items()}

    async def predict_all(self, pixels: Pixels) -> dict[str, list[BatchResult]]:
        """Predictions of the model and its baseline."""
        results = await asyncio.gather(*(batcher.predict(pixels) for batcher in self.batchers.values()))
        return dict(zip(self.batchers, results, strict=True))

    @contextmanager
    def in_use(self) -> Iterator["ServedModels"]:
        """These models, for the time of one request: they end after it, where they were retired meanwhile."""
        self._requests += 1
        try:
            yield self
        finally:
            self._requests -= 1
            self._end_if_unused()

    def retire(self) -> None:
        """Take no new requests; end the models' processes after the last one."""
        self._is_retired = True
        self._end_if_unused()

    def _end_if_unused(self) -> None:
        if self._is_retired and not self._requests:
            for batcher in self.batchers.values():
                with suppress(RuntimeError):  # the server has ended, and the processes with it
                    self._executor.submit(batcher.predictor.close)  # after what still runs there


def models_for(model: str, trust: bool = False, threads: int = 1) -> dict[str, LoadedModel]:
    """The model of this name as "model", and its baseline, if it has one, as "baseline".

    `trust` and `threads` are as in `load_predictor`. Raises UserError if there is no such model.
    """
    models = {"model": load_predictor_with_metadata(model, threads, trust)}
    baseline = BASELINES.get(model)
    if baseline and (PRETRAINED[baseline].folder / "model.onnx").exists():
        models["baseline"] = load_predictor_with_metadata(baseline, threads)
    return models

"""Corruptions of one image for the API: at one severity, and a sweep over all corruptions that can be cancelled."""

import importlib.util
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any

from imparfait.core.install import install_hint
from imparfait.serving import schemas
from imparfait.serving.batching import BatchResult
from imparfait.serving.errors import ApiError
from imparfait.serving.models import ServedModels

if TYPE_CHECKING:
    from imparfait.serving.service import Service

NEEDS_TORCH = f"corrupting images needs PyTorch; {install_hint('train')}"


class Robustness:
    """Corrupts images in a thread of its own, and predicts them with the models of a service."""

    def __init__(self, service: "Service") -> None:
        self._service = service
        self._executor = ThreadPoolExecutor(1, "corrupt", _use_one_thread)

    async def corrupt(self, content: bytes, name: str, severity: float, seed: int) -> dict[str, Any]:
        """The response of /v1/corrupt."""
        service, corruptions = self._service, await self.corruptions()
        with service.models.in_use() as models:
            pages = await service.images.normalized(content, models.predictor.input_format)
            corrupt = partial(corruptions.corrupt_image, pages[0].pixels, name, severity, seed)
            pixels = await service.jobs.run(self._executor, corrupt)
            results = await models.predict_all(pixels[None])
        predictions = {
            role: schemas.model_prediction_json(models.batchers[role].predictor, results[role][0]) for role in results
        }
        return {"corrupted": schemas.data_url(pixels), **predictions}

    async def sweep(self, content: bytes) -> dict[str, Any]:
        """The response of /v1/robustness.

        One corruption after the other: other requests come in between, and a cancelled sweep ends with the present one.
        """
        corruptions = await self.corruptions()
        with self._service.models.in_use() as models:
            form = models.predictor.input_format
            rows = await self._rows(content, models, corruptions)
        return {"severities": corruptions.severities_of(form), "models": models.names, "corruptions": rows}

    async def _rows(self, content: bytes, models: ServedModels, corruptions: ModuleType) -> list[dict[str, Any]]:
        service, form = self._service, models.predictor.input_format
        clean = (await service.images.normalized(content, form))[0].pixels
        of_clean = await models.predict_all(clean[None])
        rows = []
        for corruption in corruptions.corruptions(form):
            sweep = await service.jobs.run(self._executor, partial(corruptions.sweep, clean, form, corruption))
            results = await models.predict_all(sweep.pixels)
            curves = {
                role: _severity_curve(of_model, sweep.severities, of_clean[role][0].prediction.label)
                for role, of_model in results.items()
            }
            rows.append({**sweep.corruption.model_dump(), "severities": sweep.severities, **curves})
        return rows

    async def corruptions(self) -> ModuleType:
        """The module of corruptions, imported on first use; raises ApiError if PyTorch is not installed.

        The import takes a second or more, which counts towards no response's time limit.
        """
        if not can_corrupt():
            raise ApiError(501, NEEDS_TORCH)
        return await self._service.jobs.run(self._executor, _import_corruptions, watched=False)

    def end(self) -> None:
        """End the thread without waiting for a running job."""
        self._executor.shutdown(wait=False, cancel_futures=True)


def can_corrupt() -> bool:
    """Whether PyTorch is installed; it is not imported."""
    return importlib.util.find_spec("torch") is not None


def _use_one_thread() -> None:
    """Limit PyTorch to one thread: predictions need the other cores, and small images gain nothing from more."""
    import torch

    torch.set_num_threads(1)


def _import_corruptions() -> ModuleType:
    from imparfait.serving import corruptions

    return corruptions


def _severity_curve(results: list[BatchResult], severities: tuple[float, ...], clean_label: str) -> dict[str, Any]:
    """The labels and scores of an image at each severity, and the first severity with another label."""
    labels = [result.prediction.label for result in results]
    failures = (severity for severity, label in zip(severities, labels, strict=True) if label != clean_label)
    return {
        "labels": labels,
        "scores": [round(result.prediction.score, 6) for result in results],
        "first_failure": next(failures, None),
    }

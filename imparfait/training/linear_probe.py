"""A linear probe: logistic regression on the features of a frozen backbone, which are computed once and kept."""

import hashlib
import time
import warnings
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
import torch
from jaxtyping import Bool, Float32
from torch import nn

from imparfait.core.compute import ComputeConfig, images_at_once, onnx_session
from imparfait.core.errors import UserError
from imparfait.core.hardware import torch_threads
from imparfait.core.storage import fingerprint, get, put, user_cache
from imparfait.core.types import Pixels
from imparfait.data.dataset import LabelledImages
from imparfait.data.splits import fold
from imparfait.models.efficientnet_lite import EfficientNetLite0
from imparfait.training.checkpoints import Epoch
from imparfait.training.settings import TrainingSettings

PROBE = TrainingSettings(augmentation="clean", epochs=1, batch_size=32, label_smoothing=0)
"""Settings of a linear probe: none but the network and the seed matters."""
FINE_TUNE = TrainingSettings(augmentation="photo", epochs=5, batch_size=16, learning_rate=5e-4)
"""Settings of fine-tuning from a linear probe's head, a low peak learning rate among them (Kumar et al., "Fine-tuning
can distort pretrained features", 2022). Core suite on 500 validation images of Fashion-MNIST, 600 training images, 64
by 64 pixels, 1 seed, with the augmentation core: the probe 79.6, 76.6 and 37.2 %, fine-tuned 83.0, 82.4 and 79.6 %."""

PART_IMAGES = 64  # whose features are kept in one file: at most 2 s of work are lost
FOLDS = 5  # of the training images, to choose the regularisation
STRENGTHS = tuple(10.0**exponent for exponent in range(-2, 5))  # scikit-learn's C, strong regularisation first
DEFAULT_STRENGTH = 10.0  # where a class has a single image, so that nothing can be chosen
WORSE = 2  # strengths in a row that are worse than the best, after which the rest is not tried
MAX_ITERATIONS = 300
SUFFIX = ".safetensors"

Features = Float32[np.ndarray, "n features"]


@dataclass(frozen=True)
class ProbeStep:
    """How far a linear probe is; the last step carries what was fitted, as an epoch of cross-validation."""

    done: int
    total: int
    doing: str
    """What is being done; at last, of which images the epoch's accuracy is."""
    epoch: Epoch | None = None


def fit_probe(
    network: Any, data: LabelledImages, compute: ComputeConfig, weights: str, seed: int = 0
) -> Generator[ProbeStep, None, None]:
    """Fit the head of `network`, a network with `features` and a linear `head`, on the images; yields often.

    `weights` is the sha256 of its features' weights, by which finished features are found in the user's cache folder.
    So a fit that was left continues there. The regularisation is chosen by cross-validation, by group where the images
    have groups; the last step has loss and accuracy of the folds held out.
    """
    started = time.perf_counter()
    parts = []
    for part in features_of(network, data.pixels, compute, weights):
        parts.append(part)
        yield ProbeStep(min(len(parts) * PART_IMAGES, len(data)), len(data), "features")
    features = np.concatenate(parts)
    centred, mean, scale = _centred(features)
    losses: list[float] = []
    accuracies: list[float] = []
    for loss, accuracy in _cross_validated(centred, data, seed):
        losses.append(loss)
        accuracies.append(accuracy)
        yield ProbeStep(len(losses), len(STRENGTHS) + 1, "logistic regression")
        if len(losses) - 1 - int(np.argmin(losses)) >= WORSE:
            break
    best = int(np.argmin(losses)) if losses else None
    strength = DEFAULT_STRENGTH if best is None else STRENGTHS[best]
    model = _regression()
    _fit(model, centred, data.labels, strength)
    weight, bias = np.asarray(model.coef_, np.float64), np.asarray(model.intercept_, np.float64)
    if len(data.classes) == 2:  # scikit-learn gives one row, of the second class
        weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    weight /= scale
    with torch.no_grad():
        network.head.weight.copy_(torch.from_numpy(weight))
        network.head.bias.copy_(torch.from_numpy(bias - weight @ mean))
    measured = "in cross-validation on training images"
    if best is None:
        measured = "of its own training images, as a class has too few for cross-validation"
        losses, accuracies, best = [float("nan")], [float(model.score(centred, data.labels))], 0
    epoch = Epoch(1, losses[best], accuracies[best], len(data), time.perf_counter() - started)
    yield ProbeStep(len(STRENGTHS) + 1, len(STRENGTHS) + 1, f"{measured}; C = {strength:g}", epoch)


def features_of(network: nn.Module, pixels: Pixels, compute: ComputeConfig, weights: str) -> Iterator[Features]:
    """The features of PART_IMAGES images after the other, from the cache where they are there."""
    folder = features_folder()
    library = version("onnxruntime") if isinstance(network, EfficientNetLite0) else version("torch")
    key = fingerprint(weights, compute, library)
    function: Callable[[Pixels], Features] | None = None
    for start in range(0, len(pixels), PART_IMAGES):
        part = np.ascontiguousarray(pixels[start : start + PART_IMAGES])
        name = hashlib.sha256(f"{key}{part.shape}".encode() + part.tobytes()).hexdigest()[:32]
        content = get(folder, name, SUFFIX)
        if content is not None:
            yield safetensors.numpy.load(content)["features"]
            continue
        function = function or feature_function(network, compute)
        batch = images_at_once(part.shape[1:], PART_IMAGES)
        features = np.concatenate([function(part[first : first + batch]) for first in range(0, len(part), batch)])
        with suppress(FileNotFoundError):  # another process has put the same there
            put(folder, name, safetensors.numpy.save({"features": features}), SUFFIX)
        yield features


def features_folder() -> Path:
    """Where features are kept; it may be removed at any time."""
    return user_cache("features")


def feature_function(network: Any, compute: ComputeConfig) -> Callable[[Pixels], Features]:
    """The function from uint8 images to features: by ONNX Runtime where the network has a graph for it."""
    if isinstance(network, EfficientNetLite0) and compute.device == "cpu":
        from imparfait.models.efficientnet_graph import FEATURES, IMAGES, feature_graph

        session = onnx_session(feature_graph(network), compute.threads)
        return lambda pixels: np.asarray(session.run([FEATURES], {IMAGES: pixels})[0])
    network.eval().to(compute.device, memory_format=torch.channels_last)

    def function(pixels: Pixels) -> Features:
        images = torch.from_numpy(pixels).to(compute.device) / 255
        with torch_threads(compute.threads), torch.inference_mode():
            features = network.features(images.contiguous(memory_format=torch.channels_last))
            return np.asarray(features.float().cpu().numpy())

    return function


def _centred(features: Features) -> tuple[Features, np.ndarray, float]:
    """Features of mean 0 whose rows have a norm near 1, whatever the backbone; the mean and the scale they had."""
    mean = features.mean(0, dtype=np.float64)
    centred = (features - mean).astype(np.float32)
    scale = float(np.sqrt(np.square(centred, dtype=np.float64).sum(1).mean())) or 1.0
    return centred / np.float32(scale), mean, scale


def _cross_validated(features: Features, data: LabelledImages, seed: int) -> Iterator[tuple[float, float]]:
    """Loss and accuracy on held-out images for each of STRENGTHS; none where nothing can be held out."""
    folds = _held_out(data, seed)
    models = [_regression() for _ in folds]  # each starts from its fit at the strength before
    for strength in STRENGTHS if folds else ():
        loss = correct = 0.0
        for model, held_out in zip(models, folds, strict=True):
            _fit(model, features[~held_out], data.labels[~held_out], strength)
            probabilities, labels = model.predict_proba(features[held_out]), data.labels[held_out]
            loss -= float(np.log(np.maximum(probabilities[np.arange(len(labels)), labels], 1e-12)).sum())
            correct += int((probabilities.argmax(1) == labels).sum())
        yield loss / len(data), correct / len(data)


def _regression() -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(max_iter=MAX_ITERATIONS, warm_start=True)


def _fit(model: Any, features: Features, labels: np.ndarray, strength: float) -> None:
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    # One thread: the products are small. With two, beside other work, each waits for the other.
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore", ConvergenceWarning)  # weak regularisation: it is judged by its loss anyway
        model.set_params(C=strength).fit(features, labels)


def _held_out(data: LabelledImages, seed: int) -> list[Bool[np.ndarray, " n"]]:
    """The images held out in each fold, as many folds as the classes and groups allow; empty where they allow none."""
    light = replace(data, pixels=np.zeros((len(data), 1, 1, 1), np.uint8))
    for folds in range(FOLDS, 1, -1):
        try:
            return [np.isin(data.sources, fold(light, folds, k, seed)[1].sources) for k in range(folds)]
        except UserError:  # a class has fewer images, or groups
            continue
    return []

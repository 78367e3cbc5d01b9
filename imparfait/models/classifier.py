"""A network as a classifier: a function from numpy images to numpy logits."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor, nn

from imparfait.core.compute import ComputeConfig, images_at_once
from imparfait.core.errors import UserError
from imparfait.core.tensors import Images
from imparfait.core.types import Classifier, Logits

BATCH_IMAGES = 256  # measured: 128 to 512 are within 15 %, 2,000 takes twice as long


def as_classifier(model: nn.Module, compute: ComputeConfig | None = None, temperature: float = 1.0) -> Classifier:
    """`model` as a classifier, in inference mode on the device and in the precision of `compute`.

    Its logits are the model's, divided by `temperature`. It uses PyTorch's current number of threads.

    >>> import numpy as np
    >>> classifier = imparfait.as_classifier(imparfait.build("petit", channels=1, classes=10))
    >>> classifier(np.zeros((2, 1, 28, 28), np.float32)).shape
    (2, 10)
    """
    compute = compute or ComputeConfig(threads=torch.get_num_threads())

    def classify(images: Float32[np.ndarray, "n channels height width"]) -> Logits:
        return (logits_of(model, torch.from_numpy(images), compute).cpu() / temperature).numpy()

    return classify


def logits_of(model: nn.Module, images: Images, compute: ComputeConfig) -> Float32[Tensor, "n classes"]:
    """The logits of `model`, in inference mode on the device and in the precision of `compute`; they stay there."""
    was_training = model.training
    model.eval().to(compute.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    logits = []
    batch_images = images_at_once(images.shape[1:], BATCH_IMAGES)
    bf16 = compute.precision == "bfloat16"
    with torch.inference_mode(), torch.autocast(compute.device, torch.bfloat16, enabled=bf16):
        for batch in torch.split(images, batch_images):
            batch = batch.to(compute.device, non_blocking=True)
            logits.append(model(batch.contiguous(memory_format=torch.channels_last)).float())
    model.train(was_training)
    return torch.cat(logits)


def ensemble(classifiers: Sequence[Classifier]) -> Classifier:
    """The ensemble of `classifiers` of the same classes: the mean of their probabilities, as logits.

    >>> import numpy as np
    >>> both = imparfait.ensemble([imparfait.load_classifier(name) for name in ("digits", "digits-clean")])
    >>> both(np.zeros((2, 1, 28, 28), np.float32)).shape
    (2, 10)
    """
    if not classifiers:
        raise UserError("the ensemble has no classifiers", expected="at least one")

    def classify(images: Float32[np.ndarray, "n channels height width"]) -> Logits:
        return combined(torch.from_numpy(np.stack([classifier(images) for classifier in classifiers]))).numpy()

    return classify


def combined(logits: Float32[Tensor, "classifiers n classes"]) -> Float32[Tensor, "n classes"]:
    """The logits of the mean of these probabilities."""
    return logits.log_softmax(2).logsumexp(0) - math.log(len(logits))

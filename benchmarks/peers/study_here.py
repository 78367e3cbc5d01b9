"""Our side of study.py: reads commands from stdin and prints a reply to each, like study_in_keras.py.

Commands, one JSON list per line: ["build", recipe, precision, epochs, seed]; ["train", images], null for one epoch;
["score", images], null for all; ["weights", file], which saves the weights in Keras's order and replies with the
network's probabilities.
"""

import json
import sys
import time
from collections.abc import Iterator, Mapping
from itertools import islice

import numpy as np
import torch
from torch import nn

from imparfait import RECIPES, ComputeConfig, LabelledImages, as_classifier, build
from imparfait.core.hardware import bf16_agrees
from imparfait.models.gru import Gru
from imparfait.training.loop import Training
from imparfait.training.step import Step


class Ours:
    """A network trained as `imparfait train` would, at a given precision."""

    def __init__(self, pixels: Mapping[str, np.ndarray], recipe: str, compute: ComputeConfig, epochs: int, seed: int):
        settings, labels = RECIPES[recipe].settings, pixels["mixture_y"]
        if settings.augmentation == "study":  # corrupted already; each image is its own source for shuffling
            x, sources = pixels["mixture_x"], np.arange(len(labels))
            settings = settings.model_copy(update={"augmentation": "clean"})
        else:
            x, labels, sources = pixels["clean_x"], pixels["clean_y"], pixels["clean_sources"]
        data = LabelledImages(x[:, None], labels, sources, tuple("0123456789"), "saved pixels", "train")
        self.settings = settings.model_copy(update={"epochs": epochs, "seed": seed})
        self.model = build(settings.model, channels=1, classes=10, height=28, width=28, seed=seed)
        sample = torch.from_numpy(data.pixels[:32]) / 255
        assert compute.precision == "float32" or bf16_agrees(self.model, sample)
        self.training = Training(self.model, data, self.settings, compute)
        self.classifier = as_classifier(self.model, compute)
        self.steps: Iterator[Step] = iter(self.training)

    def train(self, images: int | None) -> dict[str, float]:
        """Train on more images, or for one epoch; returns the seconds, augmentation included."""
        steps = self.training.steps_an_epoch if images is None else images // self.settings.batch_size
        start = time.perf_counter()
        done = sum(1 for _ in islice(self.steps, steps))
        seconds = time.perf_counter() - start
        return {"seconds": seconds, "images": done * self.settings.batch_size}


def weights_for_keras(model: nn.Module) -> list[np.ndarray]:
    """Every weight and running statistic, in Keras's order and layout."""
    weights: list[torch.Tensor] = []
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            weights += [layer.weight.permute(2, 3, 1, 0), layer.bias]
        elif isinstance(layer, nn.Linear):
            weights += [layer.weight.T, layer.bias]
        elif isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            weights += [layer.weight, layer.bias, layer.running_mean, layer.running_var]
        elif isinstance(layer, Gru):
            for direction in zip(layer.kernel, layer.recurrent, layer.bias, strict=True):
                weights += direction
    return [weight.detach().numpy() for weight in weights]


def main() -> None:
    pixels = np.load(sys.argv[1])  # lazy: only what is used takes memory
    scored = {name.removeprefix("score "): pixels[name] for name in pixels.files if name.startswith("score ")}
    print(json.dumps({"torch": torch.__version__}), flush=True)
    ours = None
    for line in sys.stdin:
        command, *arguments = json.loads(line)
        reply: dict[str, object] = {}
        if command == "build":
            recipe, precision, epochs, seed = arguments
            ours = Ours(pixels, recipe, ComputeConfig(threads=int(sys.argv[2]), precision=precision), epochs, seed)
            values = ours.model.state_dict().values()
            reply = {"parameters": sum(value.numel() for value in values if value.is_floating_point())}
        elif command == "train":
            reply = dict(ours.train(arguments[0]))
        elif command == "score":
            for name, images in scored.items():
                predicted = ours.classifier(images[: arguments[0], None].astype(np.float32) / 255).argmax(1)
                reply[name] = predicted.tolist()
        elif command == "weights":
            np.savez(arguments[0], *weights_for_keras(ours.model))
            logits = ours.classifier(scored["clean"][:100, None].astype(np.float32) / 255)
            reply = {"probabilities": torch.from_numpy(logits).softmax(1).tolist()}
        print(json.dumps(reply), flush=True)


if __name__ == "__main__":
    main()

"""The folder a training leaves behind."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from pydantic import BaseModel, ValidationError
from safetensors.torch import save_file
from torch import nn

from imparfait.core.compute import ComputeConfig
from imparfait.core.errors import UserError
from imparfait.core.hardware import choose_compute, environment
from imparfait.core.storage import atomic_directory, fingerprint, read_regular, write_json
from imparfait.data.dataset import LabelledImages
from imparfait.evaluation.calibration import Calibration
from imparfait.evaluation.scores import Score, Scores
from imparfait.models import check_answers
from imparfait.models.custom import custom_fingerprint, is_custom, parts_of
from imparfait.models.loading import PretrainedWeights
from imparfait.models.metadata import MAX_JSON_BYTES, Sha256
from imparfait.training.checkpoints import portable
from imparfait.training.loop import Epoch, network_for
from imparfait.training.recipes import RECIPES, recipe_of
from imparfait.training.settings import TrainingSettings


class DataManifest(BaseModel, frozen=True):
    """The images that a run was trained on."""

    name: str
    images: int
    sha256: Sha256


class RunManifest(BaseModel, frozen=True):
    """The content of settings.json: what was trained, on which images, where."""

    recipe: str
    settings: TrainingSettings
    compute: ComputeConfig
    data: DataManifest
    final: bool
    """Whether the validation images were among the training images."""
    origins: dict[str, Sha256] = {}
    """sha256 of everything else that decided the weights: a custom network's file, initial weights, teachers."""
    hash: Sha256
    """Of everything that decides the weights."""

    @property
    def seedless_hash(self) -> str:
        """Equal for runs that differ only in their seed."""
        return fingerprint(self.settings.model_copy(update={"seed": 0}), self.data.sha256, f"final={self.final}")


def read_manifest(folder: Path) -> RunManifest:
    """The manifest of a run folder; raises UserError when it cannot be read."""
    file = folder / "settings.json"
    try:
        return RunManifest.model_validate_json(read_regular(file, MAX_JSON_BYTES))
    except ValidationError as error:
        raise UserError(
            f"{file}: not a settings.json of imparfait", hint="copy it from where you trained, or train again"
        ) from error


@dataclass(frozen=True, eq=False)
class Run:
    """One training: what it was told, where it ran and which images it learned from."""

    recipe: str
    settings: TrainingSettings
    compute: ComputeConfig
    data: LabelledImages
    final: bool
    origins: dict[str, str]
    """sha256 of what else the weights come from: the file of one's own network, the weights it started from, those of
    its teachers."""
    teachers: tuple[nn.Module, ...] = ()

    @property
    def hash(self) -> str:
        """sha256 of everything that decides the weights."""
        origins = [f"{name}={mark}" for name, mark in sorted(self.origins.items())]
        return fingerprint(self.settings, self.compute, self.data.fingerprint(), f"final={self.final}", *origins)

    @property
    def name(self) -> str:
        """The run folder's name: recipe, network where it is not the recipe's, seed, and the start of the hash."""
        model = self.settings.model
        network = parts_of(model)[0].stem if is_custom(model) else model
        recipes = self.recipe in RECIPES and RECIPES[self.recipe].settings.model == model
        return f"{self.recipe}{'' if recipes else f'-{network}'}-s{self.settings.seed}-{self.hash[:6]}"

    @property
    def manifest(self) -> RunManifest:
        """The content of its settings.json."""
        return RunManifest(
            recipe=self.recipe,
            settings=self.settings,
            compute=self.compute,
            data=DataManifest(name=self.data.name, images=len(self.data), sha256=self.data.fingerprint()),
            final=self.final,
            origins=self.origins,
            hash=self.hash,
        )


def start(
    recipe: str,
    settings: TrainingSettings,
    data: LabelledImages,
    device: str = "auto",
    final: bool = False,
    weights: PretrainedWeights | None = None,
    teachers: Mapping[str, nn.Module] | None = None,
) -> tuple[Run, nn.Module]:
    """A run, and its network with its initial weights on the machine that the fixed rule chooses.

    The initial weights are drawn, or those of an earlier run (`weights`) where they fit; `teachers` are by the sha256
    of their weights. Raises UserError when the network does not answer `data` with one number a class.
    """
    model = network_for(settings, data)
    few = torch.from_numpy(data.pixels[: settings.batch_size]) / 255
    check_answers(model, few, len(data.classes), settings.model)
    origins = {"network": custom_fingerprint(settings.model)} if is_custom(settings.model) else {}
    if weights:
        weights.fill(model, data.classes)
        origins["weights"] = weights.sha256
    taught_by = sorted((teachers or {}).items())  # by their weights: in which order they were named is no matter
    origins |= {f"teacher {number}": mark for number, (mark, _) in enumerate(taught_by, 1)}
    networks = tuple(network for _, network in taught_by)
    return Run(recipe, settings, choose_compute(model, few, device), data, final, origins, networks), model


def save(
    folder: str | Path,
    model: nn.Module,
    data: LabelledImages,
    settings: TrainingSettings,
    epochs: Sequence[Epoch],
    compute: ComputeConfig | None = None,
    *,
    final: bool = False,
) -> Path:
    """Write a network trained from Python as a run folder, which `load_classifier` and `export` take.

    `data`, `settings` and `machine` are what `train` was given, `epochs` what it yielded; `final` says that the
    validation images are among `data`, so that it is never scored on them. A run that was at `folder` is replaced.
    Raises UserError when there are no epochs, when the network does not answer `data` with one number a class, and
    when `folder` is something else than a run.
    """
    folder = Path(folder)
    if not epochs:
        raise UserError("epochs is empty; expected what train yielded: epochs = list(train(…))")
    if folder.exists() and not (folder / "config.json").is_file():
        raise UserError(f"{folder}: is there and is no run; name a folder that is not there yet")
    few = torch.from_numpy(data.pixels[: settings.batch_size]) / 255
    check_answers(model, few, len(data.classes), settings.model)
    origins = {"network": custom_fingerprint(settings.model)} if is_custom(settings.model) else {}
    run = Run(recipe_of(settings.model), settings, compute or choose_compute(model, few), data, final, origins)
    with atomic_directory(folder) as unfinished:
        write_run(unfinished, run, model, epochs, [])
    return folder


def write_run(
    folder: Path,
    run: Run,
    model: nn.Module,
    epochs: Sequence[Epoch],
    validation: Sequence[Sequence[Score]],
    calibration: Calibration | None = None,
) -> None:
    """Settings, machine, course and classifier of a training; the files are listed in the model card."""
    write_json(folder / "settings.json", run.manifest.model_dump())
    write_json(folder / "environment.json", environment(run.compute))
    with (folder / "epochs.csv").open("w", newline="", encoding="utf-8") as file:
        rows = [asdict(epoch) for epoch in epochs]
        for row, scores in zip(rows, validation, strict=False):
            row |= {f"validation_{score.corruption}": score.accuracy for score in scores}
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    save_file(portable(model.state_dict()), folder / "model.safetensors")
    if is_custom(run.settings.model):
        code, _ = parts_of(run.settings.model)
        (folder / code.name).write_bytes(code.read_bytes())  # to read; what is run is the file where it was
    _, channels, height, width = run.data.pixels.shape
    write_json(
        folder / "config.json",
        {
            "model": _whole(run.settings.model),
            "origins": run.origins,
            "model_args": run.settings.model_args,
            "classes": run.data.classes,
            "input": {"channels": channels, "height": height, "width": width, "range": [0, 1], "background": 0},
            "compute": run.compute.model_dump(),
            "temperature": calibration.temperature if calibration else None,
            "threshold": _threshold(calibration),
        },
    )


def _threshold(calibration: Calibration | None) -> dict[str, float] | None:
    if not calibration or not calibration.threshold:
        return None
    return {"confidence": calibration.threshold.confidence, "error_rate": calibration.error_rate}


def _whole(model: str) -> str:
    """The model's name; of one's own network with the file's whole path, to be found from anywhere."""
    return "{}:{}".format(*parts_of(model)) if is_custom(model) else model


def write_scores(folder: Path, scores: Scores) -> None:
    """Counts in scores.json and every single answer in predictions.csv."""
    write_json(folder / "scores.json", scores.to_json())
    with (folder / "predictions.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["corruption", "severity", "source", "truth", *(f"p_{name}" for name in scores.classes)])
        for part in scores.parts:
            shares = np.char.mod("%.5f", part.probabilities).tolist()
            columns = zip(part.sources.tolist(), part.truths.tolist(), shares, strict=True)
            for source, truth, row in columns:
                writer.writerow([part.corruption, part.severity, source, scores.classes[truth], *row])


def write_card(folder: Path, run: Run, scores: Scores, conditions: str) -> None:
    """The model card, with the front matter Hugging Face reads."""
    table = "\n".join("| " + " | ".join(row) + " |" for row in scores.rows())
    results = "\n".join(
        f"  - task: {{type: image-classification}}\n"
        f'    dataset: {{type: "{run.data.name}", name: "{run.data.name}, {score.corruption}"}}\n'
        f"    metrics: [{{type: accuracy, value: {score.accuracy:.4f}}}]"
        for score in scores.each
    )
    card = CARD.format(
        name=run.name,
        results=results,
        table=table,
        conditions=conditions,
        settings="\n".join(f"- {key}: {value}" for key, value in run.settings.model_dump().items()),
        data=f"{len(run.data):,} training images of {run.data.name}",
        classes=", ".join(run.data.classes),
    )
    (folder / "README.md").write_text(card, encoding="utf-8")


CARD = """---
library_name: imparfait
pipeline_tag: image-classification
tags: [imparfait, robustness]
model-index:
- name: {name}
  results:
{results}
---

# {name}

An image classifier trained by imparfait on {data}, for the classes {classes}.

| images | right | accuracy | 95 % interval |
| --- | --- | --- | --- |
{table}

{conditions}

## Use

```python
import imparfait

classifier = imparfait.load_classifier("{name}")  # float32 [n, channels, height, width] in 0..1 -> logits
```

## Settings

{settings}

## Files

- `model.safetensors`, `config.json`: the network's weights; what it takes and what it answers
- `settings.json`, `environment.json`: what the training was told, and the machine and versions it ran on
- `epochs.csv`: its course; `scores.json`: counts; `predictions.csv`: every answer
- `report.html`: all of it on one page
"""

"""A run: one training, and what decides its weights."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from pydantic import ValidationError
from torch import nn

from imparfait.core.compute import ComputeConfig
from imparfait.core.errors import UserError
from imparfait.core.hardware import choose_compute
from imparfait.core.storage import fingerprint, printable
from imparfait.core.types import Watch
from imparfait.data.dataset import LabelledImages
from imparfait.data.group_splits import count_groups
from imparfait.data.load import Dataset, plainly
from imparfait.data.splits import split_calibration
from imparfait.evaluation.calibration import Calibration
from imparfait.models.custom import custom_fingerprint, is_custom, parts_of
from imparfait.models.loading import PretrainedWeights, check_named
from imparfait.models.metadata import ModelConfig, Threshold
from imparfait.models.pretrained import find_model
from imparfait.models.registry import check_outputs
from imparfait.training.backbones import Backbone
from imparfait.training.loop import Training, network_for
from imparfait.training.manifest import DataManifest, RunManifest
from imparfait.training.pilot import PILOTS_FOLDER, Pilot, run_pilots
from imparfait.training.recipes import RECIPES
from imparfait.training.seen_images import check_validation_unseen, split_fingerprint
from imparfait.training.settings import TrainingSettings, enough_steps


@dataclass(frozen=True, eq=False)
class Run:
    """One training: its settings, images and compute configuration."""

    recipe: str
    settings: TrainingSettings
    compute: ComputeConfig
    data: LabelledImages
    final: bool
    """Whether the validation images are among the training images."""
    origins: dict[str, str]
    teachers: tuple[nn.Module, ...] = ()
    validation: LabelledImages | None = None
    """Images to evaluate on after each epoch."""
    calibration: LabelledImages | None = None
    """Images to calibrate on after the training."""
    split_from: str | None = None
    """sha256 of the images that these were split from by group, validation images included."""
    validated: str | None = None
    """Of a final run without images to calibrate on: sha256 of the training images of its run with validation."""
    backbone: Backbone | None = None
    """The pretrained network that it starts from."""
    frozen: bool = False
    """Whether only the head on the backbone is fitted."""
    pilot: Pilot | None = None
    """What chose the augmentation, where it was not given."""
    files: tuple[str, ...] = ()
    """Of image files, the file of each source id."""
    has_test: bool = True
    """Whether the data set has test images."""

    @property
    def hash(self) -> str:
        """sha256 of everything that decides the weights."""
        origins = [f"{name}={sha256}" for name, sha256 in sorted(self.origins.items())]
        normalized = f"normalization={self.data.normalization}"
        groups = [] if self.data.groups is None else [f"groups={self.data.grouping()}"]
        return fingerprint(
            self.settings, self.compute, self.data.fingerprint(), normalized, f"final={self.final}", *groups, *origins
        )

    @property
    def name(self) -> str:
        """The run folder's name: recipe, network where it is not the recipe's, seed, and the start of the hash."""
        model = self.settings.model
        network = parts_of(model)[0].stem if is_custom(model) else model.replace(":", "-")
        is_the_recipes = self.recipe in RECIPES and RECIPES[self.recipe].settings.model == model
        return f"{self.recipe}{'' if is_the_recipes else f'-{network}'}-s{self.settings.seed}-{self.hash[:6]}"

    @property
    def manifest(self) -> RunManifest:
        """The content of its settings.json."""
        return RunManifest(
            recipe=self.recipe,
            settings=self.settings,
            compute=self.compute,
            data=DataManifest(
                name=self.data.name,
                images=len(self.data),
                sha256=self.data.fingerprint(),
                groups=count_groups(self.data) or None,
                split_from=self.split_from,
            ),
            final=self.final,
            origins=self.origins,
            hash=self.hash,
        )

    def config(self, calibration: Calibration | None = None) -> ModelConfig:
        """The content of its config.json; raises UserError for class names or model arguments it cannot hold."""
        model, threshold = self.settings.model, calibration.threshold if calibration else None
        try:
            return ModelConfig(
                model="{}:{}".format(*parts_of(model)) if is_custom(model) else model,  # with the file's whole path
                origins=self.origins,
                model_args=self.settings.model_args,
                classes=tuple(self.data.classes),
                input=self.data.input_format,
                compute=self.compute,
                temperature=calibration.temperature if calibration else None,
                threshold=Threshold(confidence=threshold.confidence, error_rate=calibration.error_rate)
                if calibration and threshold
                else None,
            )
        except ValidationError as error:
            first = error.errors(include_context=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise UserError(f"{where}: {printable(repr(first['input']))} cannot be stored: {first['msg']}") from error

    def training(self, model: nn.Module) -> Training:
        """The training of `model`, at its first step."""
        targets = None
        if self.teachers:
            from imparfait.training.distillation import distillation_targets

            targets = distillation_targets(self.teachers, len(self.data.classes), self.compute)
        return Training(
            model,
            self.data,
            self.settings,
            self.compute,
            validation=self.validation,
            targets=targets,
            frozen_statistics=self.backbone is not None,
        )


def prepare_run(
    dataset: Dataset,
    settings: TrainingSettings,
    recipe: str,
    *,
    final: bool = False,
    device: str = "auto",
    threads: int | None = None,
    weights: PretrainedWeights | None = None,
    teachers: Sequence[str | Path] = (),
    fixed: Collection[str] = (),
    watch: Watch = plainly,
    backbone: Backbone | None = None,
    frozen: bool = False,
    out: Path | None = None,
) -> tuple[Run, nn.Module]:
    """A run on the training images of `dataset`, with `final` on the validation images too, and its initial network.

    With 10,000 training images or more, 5 % are held out for calibration. Where the images are few, batches are smaller
    and epochs more, unless `fixed` names these settings or there is a `backbone`. For the augmentation `photo` of a
    recipe, short trainings find which changes the classes allow; `watch` shows how far they are, and what they found is
    kept in `out`, the folder of the runs. Raises UserError as `new_run`, and when the initial weights or a teacher were
    trained on the validation images.
    """
    from imparfait.training.distillation import load_teachers

    fit, validation = (dataset.train_and_val(), None) if final else dataset.train_val()
    by_group = fit.groups is not None and not (final or dataset.validation)
    split_from = dataset.train.fingerprint() if by_group else None
    fit, calibration = split_calibration(fit)
    validated = split_fingerprint(dataset) if final and calibration is None else None
    if not final:
        for origin in (*([weights.path] if weights else []), *map(find_model, teachers)):
            check_validation_unseen(origin, dataset)
    wants_pilot = settings.augmentation == "photo" and "augmentation" not in fixed
    pilot = run_pilots(fit, settings, watch, out / PILOTS_FOLDER if out else None) if wants_pilot else None
    if pilot:
        settings = settings.model_copy(update={"augmentation": pilot.augmentation})
    run, model = new_run(
        recipe,
        settings if backbone else enough_steps(settings, len(fit), fixed),
        fit,
        device,
        threads,
        final=final,
        weights=weights,
        teachers=load_teachers(teachers, fit) if teachers else None,
        validation=validation,
        calibration=calibration,
        split_from=split_from,
        validated=validated,
        backbone=backbone,
        frozen=frozen,
    )
    return replace(run, pilot=pilot, files=dataset.files, has_test=bool(dataset.sealed)), model


def new_run(
    recipe: str,
    settings: TrainingSettings,
    data: LabelledImages,
    device: str = "auto",
    threads: int | None = None,
    *,
    final: bool = False,
    weights: PretrainedWeights | None = None,
    teachers: Mapping[str, nn.Module] | None = None,
    validation: LabelledImages | None = None,
    calibration: LabelledImages | None = None,
    split_from: str | None = None,
    validated: str | None = None,
    backbone: Backbone | None = None,
    frozen: bool = False,
) -> tuple[Run, nn.Module]:
    """A run and its network, with the compute configuration of `choose_compute`.

    The network's initial weights are random, or `weights` where they fit; `teachers` are by the sha256 of their
    weights. With a `backbone` its features' weights are the pretrained ones; with `frozen` they stay.
    Raises UserError when the network's outputs are not one logit per class.
    """
    model = network_for(settings, data)
    batch = torch.from_numpy(data.pixels[: settings.batch_size]) / 255
    check_outputs(model, batch, len(data.classes), settings.model)
    origins = {"network": custom_fingerprint(settings.model)} if is_custom(settings.model) else {}
    if weights:
        weights.fill(model, data.classes)
        origins["weights"] = weights.sha256
    if backbone:
        backbone.fill(model)
        origins["frozen backbone" if frozen else "backbone"] = backbone.sha256
    by_sha256 = sorted((teachers or {}).items())  # the order in which they were named does not matter
    origins |= {f"teacher {number}": sha256 for number, (sha256, _) in enumerate(by_sha256, 1)}
    networks = tuple(network for _, network in by_sha256)
    compute = choose_compute(model, batch, device, threads)
    if frozen:  # the head is fitted on exact features
        compute = compute.model_copy(update={"precision": "float32"})
    splits = (validation, calibration, split_from, validated)
    run = Run(recipe, settings, compute, data, final, origins, networks, *splits, backbone, frozen)
    run.config()  # what cannot be stored is refused before it is trained
    return run, model


def settings_for_weights(
    weights: PretrainedWeights, settings: TrainingSettings, model: str | None = None
) -> TrainingSettings:
    """`settings` with the network and the model arguments of `weights`, to continue from them.

    A custom network is the one that the caller names, in `model` or in `settings`: no code in a run folder is run.
    Raises UserError when `model` is another network.
    """
    trained = weights.config.model
    model = model or (settings.model if is_custom(settings.model) else None)
    if not is_custom(trained) and model not in (None, trained):
        raise UserError(f"--model {model} with --init-from {weights.path}, which is a {trained}", hint="omit --model")
    if is_custom(trained):
        if model is None or not is_custom(model):
            received = f"--model {model}" if model else "no --model"
            raise UserError(
                f"{received} with --init-from {weights.path}, whose network is from a file, {Path(trained).name[:200]}",
                hint="if you trust yours, name it: --model my_net.py:build",
            )
        check_named(weights.path, model)
    return settings.model_copy(update={"model": model or trained, "model_args": weights.config.model_args})

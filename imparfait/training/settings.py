"""Training settings as plain data, their checks and their TOML files."""

import json
import tomllib
from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, ValidationError

from imparfait.core.errors import UserError
from imparfait.core.setting_errors import setting_error
from imparfait.core.storage import read_regular


class TrainingSettings(BaseModel, frozen=True, extra="forbid", allow_inf_nan=False):
    """Every choice of a training. Each field is also a flag of `imparfait train`."""

    model: str = Field("petit", description="network: a name, or my_net.py:build for your own")
    model_args: dict[str, PositiveInt] = Field({}, description="arguments of the network that differ from its defaults")
    augmentation: str = Field("core", description="corruptions of the training images; `imparfait list` names them")
    epochs: PositiveInt = Field(12, description="passes over the training images")
    batch_size: PositiveInt = Field(128, description="images per step")
    optimizer: Literal["adamw", "keras"] = Field(
        "adamw",
        description="update rule: adamw (no weight decay of biases and norms) or keras (AdamW with Keras's defaults)",
    )
    schedule: Literal["one_cycle", "constant", "plateau"] = Field(
        "one_cycle", description="learning rate: one_cycle (with averaged weights), constant or plateau"
    )
    learning_rate: PositiveFloat = Field(0.012, description="peak learning rate")
    weight_decay: NonNegativeFloat = Field(0.02, description="weight decay of AdamW")
    label_smoothing: float = Field(0.05, ge=0, lt=1, description="share of the target spread over all classes")
    class_balance: float = Field(
        0, ge=0, le=1, description="weight of rare classes: 0 counts every image the same, 1 every class"
    )
    ood_fraction: float = Field(
        0, ge=0, le=1, description="fraction of out-of-distribution images added for outlier exposure"
    )
    seed: NonNegativeInt = Field(0, description="seed of every random stream")


def changed(settings: TrainingSettings, changes: dict[str, Any], where: str = "") -> TrainingSettings:
    """The settings with some of them changed; model arguments are dropped when the model changes.

    Raises UserError for an invalid value; `where` precedes the setting's name in the message ("--" for a flag).
    """
    if changes.get("model", settings.model) != settings.model:
        changes = {"model_args": {}} | changes
    try:
        return TrainingSettings.model_validate(settings.model_dump() | changes)
    except ValidationError as error:
        raise setting_error(TrainingSettings, error, where) from error


# Core mean with 20 MNIST images per class: 49 % after 6 epochs in batches of 128; 92 to 94 % after 300 to 600 steps in
# batches of 16 to 32, which take 2 to 5 s.
MIN_STEPS, MIN_BATCH = 500, 8
# Of photographs a narrower `resnet` learns more in three times the steps: 92 % against 34 of drawn shapes, as much on
# three other sets of 700 to 3,000 images (results/LOG.md). Of 3,000 crops from meters it learns less. Of 2,000 clothes
# the wide one learns most, in as many steps.
FEW_PHOTOGRAPHS, PHOTOGRAPH_STEPS = 3000, 1500
NARROW_BELOW, NARROW = 2000, {"filters": 16}  # images


def enough_steps(settings: TrainingSettings, images: int, given: Collection[str] = ()) -> TrainingSettings:
    """More epochs, smaller batches and for photographs a narrower network where the images are few.

    Settings in `given` stay.
    """
    batch_size, epochs, model_args = settings.batch_size, settings.epochs, settings.model_args
    few = settings.model == "resnet" and images < FEW_PHOTOGRAPHS
    if few and images < NARROW_BELOW and not model_args and "model_args" not in given:
        model_args = NARROW
    if "batch_size" not in given:
        batch_size = min(batch_size, max(MIN_BATCH, images // 8))
    if "epochs" not in given:
        epochs = max(epochs, round((PHOTOGRAPH_STEPS if few else MIN_STEPS) * batch_size / images))
    return settings.model_copy(update={"batch_size": batch_size, "epochs": epochs, "model_args": model_args})


MAX_TOML_BYTES = 1 << 20


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file; raises UserError when it cannot be read or is not TOML."""
    try:
        return tomllib.loads(read_regular(path, MAX_TOML_BYTES, "a TOML file of settings").decode())
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not TOML: {error}", expected="lines such as learning_rate = 0.01") from error


def as_toml(settings: TrainingSettings) -> str:
    """The settings as a TOML file for `read_settings`."""
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.model_dump(exclude={"model_args"}).items()]
    model_args = [f"{name} = {value}" for name, value in settings.model_args.items()]
    return "\n".join([*lines, "", "[model_args]", *model_args]) + "\n"

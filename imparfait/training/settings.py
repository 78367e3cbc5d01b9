"""What a training is told: settings as plain data, and the recipes that name good ones."""

import json
import tomllib
from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, ValidationError

from imparfait.core.errors import UserError


class TrainingSettings(BaseModel, frozen=True, extra="forbid"):
    """Everything about a training that is a choice. Each field is also a flag of `imparfait train`."""

    model: str = Field("petit", description="the network: a name, or my_net.py:build for one of your own")
    model_args: dict[str, PositiveInt] = Field({}, description="sizes of the network, where not its own defaults")
    augmentation: str = Field(
        "fresh", description="which images an epoch shows: fresh, everything and more; `list` tells"
    )
    epochs: PositiveInt = Field(12, description="passes over the augmentation")
    batch_size: PositiveInt = Field(128, description="images a step")
    optimizer: Literal["adamw", "keras"] = Field(
        "adamw", description="adamw, which leaves biases and norms undecayed, or keras: AdamW with all as in Keras"
    )
    schedule: Literal["one_cycle", "constant", "plateau"] = Field(
        "one_cycle", description="step size: one_cycle (weights are averaged too), constant or plateau"
    )
    learning_rate: PositiveFloat = Field(0.012, description="the largest step size")
    weight_decay: NonNegativeFloat = Field(0.02, description="AdamW's pull of weights to zero")
    label_smoothing: float = Field(0.05, ge=0, lt=1, description="share of the target spread over all classes")
    ood_fraction: float = Field(
        0, ge=0, le=1, description="images of nothing shown beside, as a share: to be sure of none"
    )
    seed: NonNegativeInt = Field(0, description="seed of every random stream")


def changed(settings: TrainingSettings, changes: dict[str, Any], where: str = "") -> TrainingSettings:
    """The settings with some of them changed; another network has none of the sizes of the one before.

    Raises UserError when a value is not what the setting wants, which says what `where` and its name are.
    """
    if changes.get("model", settings.model) != settings.model:
        changes = {"model_args": {}} | changes
    try:
        return TrainingSettings.model_validate(settings.model_dump() | changes)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        expected = first["msg"][0].lower() + first["msg"][1:]
        raise UserError(
            f"{where}{name.replace('_', '-') if where == '--' else name} was given as {first['input']!r}; {expected}"
        ) from error


# 20 of MNIST's images a class, core mean: 49 % after 6 epochs in batches of 128;
# 92 to 94 % after 300 to 600 steps in batches of 16 to 32, which take 2 to 5 s.
MIN_STEPS, MIN_BATCH = 500, 8


def enough_steps(settings: TrainingSettings, images: int, given: Collection[str] = ()) -> TrainingSettings:
    """More epochs and smaller batches where the recipe's would be a few steps only; what is `given` stays."""
    batch_size, epochs = settings.batch_size, settings.epochs
    if "batch_size" not in given:
        batch_size = min(batch_size, max(MIN_BATCH, images // 8))
    if "epochs" not in given:
        epochs = max(epochs, round(MIN_STEPS * batch_size / images))
    return settings.model_copy(update={"batch_size": batch_size, "epochs": epochs})


def read_toml(path: Path) -> dict[str, Any]:
    """What a TOML file says; raises UserError when there is none or it is not TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"{path}: not TOML, such as 'learning_rate = 0.01': {error}") from error


def as_toml(settings: TrainingSettings) -> str:
    """The settings as `read_settings` takes them."""
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.model_dump(exclude={"model_args"}).items()]
    model_args = [f"{name} = {value}" for name, value in settings.model_args.items()]
    return "\n".join([*lines, "", "[model_args]", *model_args]) + "\n"

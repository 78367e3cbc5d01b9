"""What a training is told: settings as plain data, and the recipes that name good ones."""

import hashlib
import json
import tomllib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, ValidationError

from imparfait.errors import UserError, lookup


class TrainingSettings(BaseModel, frozen=True, extra="forbid"):
    """Everything about a training that is a choice. Each field is also a flag of `imparfait train`."""

    model: str = Field("petit", description="the network: a name, or my_net.py:build for one of your own")
    sizes: dict[str, PositiveInt] = Field({}, description="sizes of the network, where not its own defaults")
    mixture: str = Field("fresh", description="which pictures an epoch shows: fresh, everything and more; `list` tells")
    epochs: PositiveInt = Field(12, description="passes over the mixture")
    batch_size: PositiveInt = Field(128, description="pictures a step")
    optimiser: Literal["adamw", "keras"] = Field(
        "adamw", description="adamw, which leaves biases and norms undecayed, or keras: AdamW with all as in Keras"
    )
    schedule: Literal["one_cycle", "constant", "plateau"] = Field(
        "one_cycle", description="step size: one_cycle (weights are averaged too), constant or plateau"
    )
    learning_rate: PositiveFloat = Field(0.012, description="the largest step size")
    weight_decay: NonNegativeFloat = Field(0.02, description="AdamW's pull of weights to zero")
    label_smoothing: float = Field(0.05, ge=0, lt=1, description="share of the target spread over all classes")
    nothing: float = Field(
        0, ge=0, le=1, description="pictures of nothing shown beside, as a share: to be sure of none"
    )
    seed: NonNegativeInt = Field(0, description="seed of every random stream")


class Machine(BaseModel, frozen=True, extra="forbid"):
    """Where arithmetic happens; part of what a result depends on, so it is recorded and reused."""

    device: Literal["cpu", "cuda", "mps"] = "cpu"
    threads: PositiveInt = 1
    precision: Literal["float32", "bfloat16"] = "float32"

    def __str__(self) -> str:
        return f"{self.threads} thread{'s' * (self.threads > 1)} ({self.device}, {self.precision})"


@dataclass(frozen=True)
class Recipe:
    """Named settings, with what they cost and what to expect of them (2 cores, development pictures)."""

    settings: TrainingSettings
    cost: str
    expect: str


STUDY = TrainingSettings(
    model="cnn",
    mixture="study",
    epochs=10,
    batch_size=32,
    optimiser="keras",
    schedule="constant",
    learning_rate=1e-4,
    weight_decay=0.004,  # what keras.optimizers.AdamW decays by when it is not told
    label_smoothing=0,
)
UNKNOWN = "not run yet"
GRU = {"model": "cnn_gru", "learning_rate": 1e-3, "weight_decay": 1e-4}
FOLLOW_UP = {"mixture": "balanced", "epochs": 20, "schedule": "plateau"}

RECIPES: dict[str, Recipe] = {
    # 98.93 %, mean of 3 seeds, in 2.5 s with AVX-512's bf16: results/2026-11-26-records-quick.
    "quick": Recipe(
        TrainingSettings(sizes={"filters": 16}, epochs=1, batch_size=96, learning_rate=0.02),
        cost="3 s",
        expect="98.9 %",
    ),
    # 3 seeds, 48 s with bf16 in AVX-512: results/2026-11-26-records-default.
    "default": Recipe(TrainingSettings(), cost="a minute", expect="99.54 %"),
    # 3 seeds: results/2026-11-26-grand-development.
    "best": Recipe(
        TrainingSettings(model="grand", sizes={"filters": 32}, epochs=20, learning_rate=0.009),
        cost="12 min on one core with bf16 units",
        expect="99.65 %",
    ),
    # 1 seed: results/2026-11-26-records-robust.
    "robust": Recipe(
        TrainingSettings(model="duo", sizes={"depth": 2}, mixture="everything", epochs=20, nothing=0.15),
        cost="10 min on one core with bf16 units",
        expect="99.49 %",
    ),
    # The founding study's, as its annexes have them: Keras's Adams, batches of 32. 98.75 % in 406 s, 1 seed, AMX:
    # results/2026-11-24-study. The two others on test pictures, one opening each, results/2026-11-26-study; their time,
    # and what has not been run, is reckoned from pictures/s in results/2026-11-24-beside-the-study.
    "study": Recipe(STUDY, cost="7 min", expect="98.75 %"),
    "study-gru": Recipe(STUDY.model_copy(update=GRU), cost="about 21 min", expect="99.06 % (test)"),
    # Its follow-up's. The follow-up gives no numbers for ReduceLROnPlateau: ours are a reconstruction.
    "follow-up": Recipe(STUDY.model_copy(update=FOLLOW_UP), cost="about 23 min", expect="99.35 % (test)"),
    "follow-up-gru": Recipe(STUDY.model_copy(update=FOLLOW_UP | GRU), cost="about 75 min", expect=UNKNOWN),
}


OF_MODELS = {
    "grand": "best",
    "duo": "robust",
    "cnn": "study",
    "cnn_one_convolution": "study",
    "cnn_no_normalisation": "study",
    "cnn_no_dropout": "study",
    "cnn_gru": "study-gru",
    "cnn_gru_tanh": "study-gru",
    "rnn": "study-gru",
}


def recipe_of(model: str) -> str:
    """The recipe that a model is trained with when none is named: "default" for one that has none of its own."""
    return OF_MODELS.get(model, "default")


def changed(settings: TrainingSettings, changes: dict[str, Any], where: str = "") -> TrainingSettings:
    """The settings with some of them changed; another network has none of the sizes of the one before.

    Raises UserError when a value is not what the setting wants, which says what `where` and its name are.
    """
    if changes.get("model", settings.model) != settings.model:
        changes = {"sizes": {}} | changes
    try:
        return TrainingSettings.model_validate(settings.model_dump() | changes)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        wanted = first["msg"][0].lower() + first["msg"][1:]
        raise UserError(
            f"{where}{name.replace('_', '-') if where == '--' else name} was given as {first['input']!r}; {wanted}"
        ) from error


# 20 of MNIST's pictures a class, mean of the three: 49 % after 6 epochs in batches of 128;
# 92 to 94 % after 300 to 600 steps in batches of 16 to 32, which take 2 to 5 s.
LEAST_STEPS, LEAST_BATCH = 500, 8


def enough_steps(settings: TrainingSettings, pictures: int, given: Collection[str] = ()) -> TrainingSettings:
    """More epochs and smaller batches where the recipe's would be a few steps only; what is `given` stays."""
    batch_size, epochs = settings.batch_size, settings.epochs
    if "batch_size" not in given:
        batch_size = min(batch_size, max(LEAST_BATCH, pictures // 8))
    if "epochs" not in given:
        epochs = max(epochs, round(LEAST_STEPS * batch_size / pictures))
    return settings.model_copy(update={"batch_size": batch_size, "epochs": epochs})


def read_toml(path: Path) -> dict[str, Any]:
    """What a TOML file says; raises UserError when there is none or it is not TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"{path}: not TOML, such as 'learning_rate = 0.01': {error}") from error


def read_settings(path: Path) -> TrainingSettings:
    """The settings in a TOML file; what it does not say is as in the recipe of its model."""
    told = read_toml(path)
    for name in told:
        try:
            lookup("setting", name, TrainingSettings.model_fields)
        except UserError as error:
            raise UserError(f"{path}: {error}") from error
    recipe = recipe_of(str(told.get("model", RECIPES["default"].settings.model)))
    return changed(RECIPES[recipe].settings, told, f"{path}: ")


def as_toml(settings: TrainingSettings) -> str:
    """The settings as `read_settings` takes them."""
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.model_dump(exclude={"sizes"}).items()]
    sizes = [f"{name} = {value}" for name, value in settings.sizes.items()]
    return "\n".join([*lines, "", "[sizes]", *sizes]) + "\n"


def fingerprint(*parts: BaseModel | str) -> str:
    """A sha256 over settings and fingerprints: equal exactly when all the parts are."""
    texts = [part.model_dump_json() if isinstance(part, BaseModel) else part for part in parts]
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()

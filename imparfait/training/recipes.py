"""Named training settings, each with its cost and the accuracy to expect."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from imparfait.core.errors import UserError, lookup
from imparfait.training.settings import TrainingSettings, changed, read_toml

if TYPE_CHECKING:
    from imparfait.data.dataset import LabelledImages


@dataclass(frozen=True)
class Recipe:
    """Named settings, with training time on 2 cores and core mean on validation images."""

    settings: TrainingSettings
    cost: str
    """Training time, in words."""
    expect: str
    """Accuracy, in words."""


STUDY = TrainingSettings(
    model="cnn",
    augmentation="study",
    epochs=10,
    batch_size=32,
    optimizer="keras",
    schedule="constant",
    learning_rate=1e-4,
    weight_decay=0.004,  # the default of keras.optimizers.AdamW
    label_smoothing=0,
)
GRU = {"model": "cnn_gru", "learning_rate": 1e-3, "weight_decay": 1e-4}
FOLLOW_UP = {"augmentation": "balanced", "epochs": 20, "schedule": "plateau"}

RECIPES: dict[str, Recipe] = {
    # 3 seeds: results/quick-validation
    "quick": Recipe(
        TrainingSettings(
            model_args={"filters": 16}, augmentation="mostly_core", epochs=2, batch_size=96, learning_rate=0.02
        ),
        cost="6 s",
        expect="98.9 %; 86 % under 32 corruptions",
    ),
    # 3 seeds: results/default-validation
    "default": Recipe(
        TrainingSettings(
            model="duo", model_args={"second_filters": 16}, augmentation="everything", epochs=13, ood_fraction=0.05
        ),
        cost="100 s",
        expect="99.37 %; 96.3 % under 32 corruptions",
    ),
    # 3 seeds: results/best-validation
    "best": Recipe(
        TrainingSettings(model="grand", model_args={"filters": 32}, epochs=20, learning_rate=0.009),
        cost="10 to 12 min on one core with bf16 units",
        expect="99.65 %",
    ),
    # chosen on meters: results/LOG.md, 2026-11-29
    "photo": Recipe(
        TrainingSettings(
            model="resnet",
            augmentation="photo",
            epochs=20,
            batch_size=64,
            learning_rate=0.01,
            class_balance=0.5,
            ood_fraction=0.1,
        ),
        cost="3 min for 4,000 colour images of 32 pixels",
        expect="for photographs and other images that fill their frame; chosen automatically",
    ),
    # The settings in the annexes of the founding study. 98.75 % in 406 s, 1 seed, AMX: results/study-validation.
    # "(test)": one access to the test set, results/founding-study. "about": extrapolated from measured images/s.
    "study": Recipe(STUDY, cost="7 min", expect="98.75 %"),
    "study-gru": Recipe(STUDY.model_copy(update=GRU), cost="about 21 min", expect="99.06 % (test)"),
    # The follow-up of the study. It does not give the arguments of ReduceLROnPlateau: these are a reconstruction.
    "follow-up": Recipe(STUDY.model_copy(update=FOLLOW_UP), cost="about 23 min", expect="99.35 % (test)"),
    "follow-up-gru": Recipe(STUDY.model_copy(update=FOLLOW_UP | GRU), cost="about 75 min", expect="not run yet"),
}
RECIPE_OF_MODEL = {
    "grand": "best",
    "resnet": "photo",
    "cnn": "study",
    "cnn_one_convolution": "study",
    "cnn_no_normalisation": "study",
    "cnn_no_dropout": "study",
    "cnn_gru": "study-gru",
    "cnn_gru_tanh": "study-gru",
    "rnn": "study-gru",
}


BACKBONES = ("efficientnet", "timm:")  # networks that learned photographs begin so


def suite_for(settings: TrainingSettings) -> tuple[tuple[str, float], ...]:
    """The conditions that a run with these settings is evaluated under: clean only, where it learns photographs."""
    from imparfait.data.corrupted import CLEAN_SUITE, CORE_SUITE  # late: it imports torch

    of_photos = settings.augmentation.endswith("photo") or settings.model.startswith(BACKBONES)
    return CLEAN_SUITE if of_photos else CORE_SUITE


RENAMED = {"robust": "default"}
"""Recipes of earlier versions, and which has taken their place."""


def refuse_renamed(name: str) -> None:
    """Raise UserError for the name of an earlier recipe, with today's; the nearest name would be another one."""
    if name in RENAMED:
        raise UserError(f"the recipe {name} is now {RENAMED[name]}", hint=f"write {RENAMED[name]}")


def recipe_of(model: str) -> str:
    """The name of the recipe for `model` when none is given; "default" for a model without its own."""
    return RECIPE_OF_MODEL.get(model, "default")


def read_settings(path: Path) -> TrainingSettings:
    """The settings in a TOML file; missing ones are those of the model's recipe. Raises UserError for unknown ones."""
    given = read_toml(path)
    for name in given:
        try:
            lookup("setting", name, TrainingSettings.model_fields)
        except UserError as error:
            raise UserError(f"{path}: {error}") from error
    recipe = recipe_of(str(given.get("model", RECIPES["default"].settings.model)))
    return changed(RECIPES[recipe].settings, given, f"{path}: ")


def recipe_for(data: "LabelledImages") -> str:
    """The recipe for these training images when none is given: "default" for digits, "photo" for all others.

    Like digits are images that were cropped and drawn as such, or are framed as MNIST's: light on a ground of 0.
    """
    return "default" if data.is_of_digits else "photo"


def choose_settings(
    recipe: str | None = None, file: Path | None = None, model: str | None = None, data: "LabelledImages | None" = None
) -> tuple[str, TrainingSettings, set[str]]:
    """The settings of a recipe, of a TOML file or of the recipe of `model`; their name; which of them a file gives.

    By default, those of the recipe for `data`. Raises UserError when both a recipe and a file are given.
    """
    if file and recipe:
        raise UserError(f"--settings {file} and --recipe {recipe}", expected="one of them", hint="leave one out")
    if file:
        return file.stem, read_settings(file), set(read_toml(file))
    name = recipe or (recipe_of(model) if model else recipe_for(data) if data else "default")
    refuse_renamed(name)
    return name, lookup("recipe", name, RECIPES).settings, set()

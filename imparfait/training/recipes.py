"""Named training settings, each with its cost and the accuracy to expect."""

from dataclasses import dataclass
from pathlib import Path

from imparfait.core.errors import UserError, lookup
from imparfait.training.settings import TrainingSettings, changed, read_toml


@dataclass(frozen=True)
class Recipe:
    """Named settings, with what they cost and what to expect of them (2 cores, validation images)."""

    settings: TrainingSettings
    cost: str
    expect: str


STUDY = TrainingSettings(
    model="cnn",
    augmentation="study",
    epochs=10,
    batch_size=32,
    optimizer="keras",
    schedule="constant",
    learning_rate=1e-4,
    weight_decay=0.004,  # what keras.optimizers.AdamW decays by when it is not told
    label_smoothing=0,
)


UNKNOWN = "not run yet"


GRU = {"model": "cnn_gru", "learning_rate": 1e-3, "weight_decay": 1e-4}


FOLLOW_UP = {"augmentation": "balanced", "epochs": 20, "schedule": "plateau"}


RECIPES: dict[str, Recipe] = {
    # 98.93 %, mean of 3 seeds, in 2.5 s with AVX-512's bf16: results/2026-11-26-records-quick.
    "quick": Recipe(
        TrainingSettings(model_args={"filters": 16}, epochs=1, batch_size=96, learning_rate=0.02),
        cost="3 s",
        expect="98.9 %",
    ),
    # 3 seeds, 48 s with bf16 in AVX-512: results/2026-11-26-records-default.
    "default": Recipe(TrainingSettings(), cost="a minute", expect="99.54 %"),
    # 3 seeds: results/2026-11-26-grand-development.
    "best": Recipe(
        TrainingSettings(model="grand", model_args={"filters": 32}, epochs=20, learning_rate=0.009),
        cost="12 min on one core with bf16 units",
        expect="99.65 %",
    ),
    # 1 seed: results/2026-11-26-records-robust.
    "robust": Recipe(
        TrainingSettings(model="duo", model_args={"depth": 2}, augmentation="everything", epochs=20, ood_fraction=0.15),
        cost="10 min on one core with bf16 units",
        expect="99.49 %",
    ),
    # The founding study's, as its annexes have them: Keras's Adams, batches of 32. 98.75 % in 406 s, 1 seed, AMX:
    # results/2026-11-24-study. The two others on test images, one opening each, results/2026-11-26-study; their time,
    # and what has not been run, is reckoned from images/s in results/2026-11-24-beside-the-study.
    "study": Recipe(STUDY, cost="7 min", expect="98.75 %"),
    "study-gru": Recipe(STUDY.model_copy(update=GRU), cost="about 21 min", expect="99.06 % (test)"),
    # Its follow-up's. The follow-up gives no numbers for ReduceLROnPlateau: ours are a reconstruction.
    "follow-up": Recipe(STUDY.model_copy(update=FOLLOW_UP), cost="about 23 min", expect="99.35 % (test)"),
    "follow-up-gru": Recipe(STUDY.model_copy(update=FOLLOW_UP | GRU), cost="about 75 min", expect=UNKNOWN),
}


RECIPE_OF_MODEL = {
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
    return RECIPE_OF_MODEL.get(model, "default")


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

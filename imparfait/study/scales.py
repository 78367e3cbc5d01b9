"""Scales of the study: what is searched, compared and trained, on how many images."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from imparfait.selection.profiling import TURNS
from imparfait.selection.search_space import Choice, Range, Space
from imparfait.training.recipes import RECIPES
from imparfait.training.settings import TrainingSettings

PAIR = ("cnn", "cnn_gru")
"""The networks the study compares."""
ABLATIONS = {
    "rnn": "cnn",
    "cnn_one_convolution": "cnn",
    "cnn_no_normalisation": "cnn",
    "cnn_no_dropout": "cnn",
    "cnn_gru_tanh": "cnn_gru",
}
"""Each ablation, and the network that it is compared with."""

# The training settings only: the networks stay as in the annexes, whose own values lie in these ranges.
SPACES: Mapping[str, Space] = {
    "cnn": {
        "learning_rate": Range(low=3e-5, high=3e-3, log=True),
        "weight_decay": Range(low=1e-5, high=1e-1, log=True),
        "batch_size": Choice(of=(32, 64, 128)),
    },
    "cnn_gru": {
        "learning_rate": Range(low=1e-4, high=3e-3, log=True),
        "weight_decay": Range(low=1e-5, high=1e-1, log=True),
        "batch_size": Choice(of=(32, 64, 128)),
    },
}


@dataclass(frozen=True)
class Scale:
    """Numbers of images, folds, seeds, epochs and trials."""

    summary: str
    folds: int
    seeds: int
    """Of the pair; the ablations have one seed."""
    epochs: int
    """In cross-validation."""
    trials: int
    """Per search method."""
    search_images: int
    search_epochs: int
    search_folds: int
    final_epochs: int
    follow_up_epochs: int
    follow_up_gru: bool = False
    """Whether `cnn_gru` is trained on the follow-up's balanced augmentation too."""
    images: int | None = None
    """Training images in cross-validation; with None, all, and the final networks are evaluated on the test set."""
    final_images: int | None = None
    """Training images of the final networks; None for all."""
    instead: Mapping[str, float] = field(default_factory=dict)
    """Settings instead of the annexes', which would learn nothing in so few steps."""
    turns: int = TURNS
    """Throughput measurements per network."""

    @property
    def uses_test_set(self) -> bool:
        """Whether the final networks are evaluated on the test set, and claims are decided."""
        return self.images is None

    def settings(self, recipe: str) -> TrainingSettings:
        """The settings of a recipe at this scale."""
        return RECIPES[recipe].settings.model_copy(update=dict(self.instead))

    def finals(self) -> dict[str, tuple[str, TrainingSettings]]:
        """The final networks by name: their recipe and their settings."""
        study = self.settings("study").model_copy(update={"epochs": self.final_epochs})
        gru = self.settings("study-gru").model_copy(update={"epochs": self.final_epochs})
        longer = {"epochs": self.follow_up_epochs}
        finals = {
            "cnn, clean only": ("study-clean", study.model_copy(update={"augmentation": "clean"})),
            "cnn": ("study", study),
            "cnn_gru": ("study-gru", gru),
            "cnn, balanced": ("follow-up", self.settings("follow-up").model_copy(update=longer)),
        }
        if self.follow_up_gru:
            finals["cnn_gru, balanced"] = (
                "follow-up-gru",
                self.settings("follow-up-gru").model_copy(update=longer),
            )
        return finals


FULL = Scale(
    summary="5 folds × 2 seeds of 3 epochs, final trainings of 10 and 20: hours, in as many sessions as you like",
    folds=5, seeds=2, epochs=3,
    trials=8, search_images=6000, search_epochs=2, search_folds=3,
    final_epochs=10, follow_up_epochs=20,
)  # fmt: skip
SCALES: Mapping[str, Scale] = {
    "full": FULL,
    "larger": Scale(
        summary="5 folds × 3 seeds of 10 epochs, and cnn_gru on the balanced augmentation too: days",
        folds=5, seeds=3, epochs=10,
        trials=24, search_images=12_000, search_epochs=3, search_folds=3,
        final_epochs=10, follow_up_epochs=20, follow_up_gru=True,
    ),
}  # fmt: skip

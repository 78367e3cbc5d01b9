"""How much of the study is done: what is searched, compared and trained, on how many images."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from imparfait.selection.profiling import TURNS
from imparfait.selection.search_space import Choice, Range, Space
from imparfait.training.recipes import RECIPES
from imparfait.training.settings import TrainingSettings

PAIR = ("cnn", "cnn_gru")
"""What the study is about."""
ABLATIONS = {
    "rnn": "cnn",
    "cnn_one_convolution": "cnn",
    "cnn_no_normalisation": "cnn",
    "cnn_no_dropout": "cnn",
    "cnn_gru_tanh": "cnn_gru",
}
"""Each network that leaves something out, and the one it is set beside."""

# What a student varies; the networks stay as the annexes have them. The annexes' own values are among these.
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
    """Of the pair; the ablations have one."""
    epochs: int
    """In cross-validation."""
    trials: int
    """Of each method of search."""
    searched_pictures: int
    searched_epochs: int
    searched_folds: int
    final_epochs: int
    follow_up_epochs: int
    follow_up_gru: bool = False
    """Whether the follow-up's balanced augmentation is given to `cnn_gru` too."""
    images: int | None = None
    """Training images in cross-validation; None for all, and then the final networks open the test images."""
    final_pictures: int | None = None
    """Training images of the final networks."""
    instead: Mapping[str, float] = field(default_factory=dict)
    """Settings that are not the annexes', which would learn nothing in so few steps."""

    turns: int = TURNS
    """In which networks are measured before anything starts."""

    @property
    def opens_test(self) -> bool:
        """Whether the final networks are scored on the test images, and claims are decided."""
        return self.images is None

    def settings(self, recipe: str) -> TrainingSettings:
        """A recipe's, at this scale."""
        return RECIPES[recipe].settings.model_copy(update=dict(self.instead))

    def finals(self) -> dict[str, tuple[str, TrainingSettings]]:
        """By name the networks trained at length: the name of their recipe, and their settings."""
        study = self.settings("study").model_copy(update={"epochs": self.final_epochs})
        gru = self.settings("study-gru").model_copy(update={"epochs": self.final_epochs})
        longer = {"epochs": self.follow_up_epochs}
        found = {
            "cnn, clean only": ("study-clean", study.model_copy(update={"augmentation": "clean"})),
            "cnn": ("study", study),
            "cnn_gru": ("study-gru", gru),
            "cnn, balanced": ("follow-up", self.settings("follow-up").model_copy(update=longer)),
        }
        if self.follow_up_gru:
            found["cnn_gru, balanced"] = (
                "follow-up-gru",
                self.settings("follow-up-gru").model_copy(update=longer),
            )
        return found


FULL = Scale(
    summary="5 folds × 2 seeds of 3 epochs, finals of 10 and 20: hours, in as many sittings as one likes",
    folds=5, seeds=2, epochs=3,
    trials=8, searched_pictures=6000, searched_epochs=2, searched_folds=3,
    final_epochs=10, follow_up_epochs=20,
)  # fmt: skip
SCALES: Mapping[str, Scale] = {
    "full": FULL,
    "quick": Scale(
        summary="the same path on few images, in under 3 minutes; its numbers say nothing",
        folds=2, seeds=1, epochs=1,
        trials=2, searched_pictures=300, searched_epochs=1, searched_folds=2,
        final_epochs=1, follow_up_epochs=1, images=800, final_pictures=1800,
        turns=1, instead={"batch_size": 8, "learning_rate": 1e-3},
    ),
    "larger": Scale(
        summary="5 folds × 3 seeds of 10 epochs, and cnn_gru on the balanced augmentation too: days",
        folds=5, seeds=3, epochs=10,
        trials=24, searched_pictures=12_000, searched_epochs=3, searched_folds=3,
        final_epochs=10, follow_up_epochs=20, follow_up_gru=True,
    ),
}  # fmt: skip

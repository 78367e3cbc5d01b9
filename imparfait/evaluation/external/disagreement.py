"""Accuracy and log loss that disagree about how an external model takes its input, on all validation images."""

# A model that is fed images of a wrong range may be a little more accurate by chance, and be far too confident, or the
# other way round. Where both differences are more than noise, nothing in the images tells which reading is true.

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int64

from imparfait.core.errors import UserError
from imparfait.evaluation.external.input_spec import InputSpec
from imparfait.evaluation.external.trials import SpecTrial
from imparfait.evaluation.statistics import SIGNIFICANCE_LEVEL, mcnemar

FLAGS = {
    "layout": "--layout", "value_range": "--range", "foreground": "--foreground", "outputs": "--outputs",
}  # fmt: skip
NOISE_SIGMAS = 1.96  # of a mean difference of log losses, for the level of 5 %


def rivals(best: SpecTrial, trials: Sequence[SpecTrial], least: float) -> list[SpecTrial]:
    """The other trials beyond guessing (`least`) that are not better and not worse in both measures."""
    return [
        trial
        for trial in trials
        if trial is not best
        and trial.accuracy >= least
        and (trial.accuracy - best.accuracy) * (trial.log_loss - best.log_loss) > 0
    ]


def settled(first: SpecTrial, second: SpecTrial, labels: Int64[np.ndarray, " n"]) -> SpecTrial:
    """The better one of two trials on the same images, by the measure in which they differ by more than noise.

    By log loss where they do in neither. Raises UserError where they disagree by more than noise in both.
    """
    one, other = first.predicted == labels, second.predicted == labels
    accurate = mcnemar(one, other).p < SIGNIFICANCE_LEVEL
    differences = first.losses - second.losses
    error = differences.std(ddof=1) / np.sqrt(len(differences))
    lossy = abs(differences.mean()) > NOISE_SIGMAS * error
    more_accurate = max(first, second, key=lambda trial: trial.correct)
    lower_loss = min(first, second, key=lambda trial: trial.log_loss)
    if accurate and lossy and more_accurate is not lower_loss:
        raise UserError(
            f"accuracy and log loss disagree about the model's input on {len(labels):,} validation images: "
            f"{_reading(more_accurate, lower_loss)}, {_reading(lower_loss, more_accurate)}",
            expected="one of them to be stated",
            hint=f"write {_flags(more_accurate.spec, lower_loss.spec)} or "
            f"{_flags(lower_loss.spec, more_accurate.spec)}, as the model was trained",
        )
    return more_accurate if accurate and not lossy else lower_loss


def _reading(trial: SpecTrial, other: SpecTrial) -> str:
    fields = " and ".join(f"{name.replace('_', ' ')} {value}" for name, value in _differing(trial.spec, other.spec))
    return f"{fields} has {trial.accuracy:.1%} correct at a log loss of {trial.log_loss:.2g}"


def _flags(spec: InputSpec, other: InputSpec) -> str:
    flags = []
    for name, value in _differing(spec, other):
        if name == "fit":
            flags.append(f"--{value} {max(spec.shape[1:]) if spec.shape else ''}".strip())
        else:
            flags.append(f"{FLAGS[name]} {value}")
    return " ".join(flags)


def _differing(spec: InputSpec, other: InputSpec) -> list[tuple[str, str]]:
    names = [name for name in (*FLAGS, "fit") if getattr(spec, name) != getattr(other, name)]
    return [(name, getattr(spec, name)) for name in names if getattr(spec, name)]

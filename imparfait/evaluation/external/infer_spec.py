"""A model's conventions found out: each that it leaves open is tried on validation images."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product

import numpy as np

from imparfait.core.errors import UserError
from imparfait.data.dataset import LabelledImages
from imparfait.evaluation.external.adapter import few, logits, outputs_of
from imparfait.evaluation.external.base import DeclaredSpec
from imparfait.evaluation.external.input_spec import INKS, LAYOUTS, RANGES, Function, InputSpec, SpecHint, as_wanted

FIRST, MORE = 200, 1000  # images: for all that is possible, then for what is nearly as good as the best
NEARLY = 0.10  # of accuracy: 200 images do not tell less apart
EQUAL = 0.01  # of accuracy: 1,000 images do not tell less apart; how likely they find the labels does
GIVEN, SAID, SEEN, TRIED = "given", "said by the model", "seen in its answers", "found by trying"


@dataclass(frozen=True)
class SpecTrial:
    """`right` of `total` images with these conventions, and the log loss: how little likely the labels were found."""

    conventions: InputSpec
    correct: int
    total: int
    log_loss: float

    @property
    def accuracy(self) -> float:
        """The share that is right, 0..1."""
        return self.correct / self.total


@dataclass(frozen=True)
class InferredSpec:
    """The conventions taken, where each comes from, and what was tried: first what was taken, then the best first."""

    conventions: InputSpec
    origins: dict[str, str]
    """For each of layout, range, ink and outputs: GIVEN, SAID, SEEN or TRIED."""
    tried: tuple[SpecTrial, ...]

    @property
    def accuracy(self) -> float:
        """With the conventions taken, on the validation images they were tried on."""
        return self.tried[0].accuracy

    @property
    def margin(self) -> float | None:
        """How much accuracy the next best conventions have less; None where there was nothing else to try.

        It can be a little below 0: among equals the likelihood of the labels decides.
        """
        return self.accuracy - self.tried[1].accuracy if len(self.tried) > 1 else None

    @property
    def is_doubtful(self) -> bool:
        """Whether others, a little less accurate, find the labels likelier: better to state what is so.

        It is a sign of a model that is not trained to its end, or of none of these conventions. The study's `cnn_gru`
        after 376 steps, whose batch normalisations lag behind, is more accurate on 0..255 (90 %) than on its own
        0..1 (80 %), at a log loss of 2.2 and 0.6.
        """
        best = self.tried[0]
        return any(trial.log_loss < best.log_loss and trial.total == best.total for trial in self.tried[1:])

    def __str__(self) -> str:
        """One line for people: what was taken, why, and by what margin."""
        taken = asdict(self.conventions)
        words = ", ".join(f"{field} {value} ({self.origins[field]})" for field, value in taken.items())
        if len(self.tried) < 2:
            return words
        best, other = self.tried[:2]
        differs = [f"{key} {value}" for key, value in asdict(other.conventions).items() if value != taken[key]]
        return (
            f"{words}; {best.correct} of {best.total} validation images right ({best.accuracy:.1%}), "
            f"the next best ({', '.join(differs)}) {other.accuracy:.1%}; "
            f"log loss {best.log_loss:.2g} and {other.log_loss:.2g}"
            f"{'; accuracy and log loss disagree: better state them' if self.is_doubtful else ''}"
        )


def infer_spec(
    function: Function, told: DeclaredSpec, data: LabelledImages, known: SpecHint | None = None
) -> InferredSpec:
    """The conventions of `function`: those that are `known`, then what the model has `told`, the rest by trying.

    `data` are validation images, at most 1,000 of which are asked. The most accurate conventions are taken; among
    those within a hundredth of the best, those under which the model finds the labels likeliest. Raises UserError when
    the model is not one for these images, or when nothing that was tried is far better than guessing.
    """
    known = known or SpecHint()
    if told.classes is not None and told.classes != len(data.classes):
        raise UserError(f"the model knows {told.classes} classes; these images have {len(data.classes)}")
    if told.names is not None and told.names != data.classes:
        raise UserError(f"the model knows the classes {few(told.names)}; these images have {few(data.classes)}")
    layouts = [known.layout] if known.layout else _layouts(told, data)
    if not known.layout and told.layout in layouts:
        layouts = [told.layout]
    range_told = known.range or told.range
    ranges = [str(range_told)] if range_told else [name for name in RANGES if name != "imagenet" or data.channels == 3]
    ink_told = known.ink or told.ink
    inks = [ink_told] if ink_told else list(INKS)
    outputs = known.outputs or told.outputs
    possible = [InputSpec(*each, outputs or "logits") for each in product(layouts, ranges, inks)]

    trials = _tries(function, possible, bool(outputs), _spread(data, FIRST))
    open_still = [each for each in trials if each.accuracy >= max(t.accuracy for t in trials) - NEARLY]
    if len(possible) > 1:
        if len(open_still) > 1 and len(data) > FIRST:
            again = _tries(function, [each.conventions for each in open_still], bool(outputs), _spread(data, MORE))
            trials = again + [trial for trial in trials if trial not in open_still]
            open_still = again
        _check_far_from_guessing(max(trial.accuracy for trial in trials), data, known)
    top = max(trial.accuracy for trial in open_still)
    taken = min((t for t in open_still if t.accuracy >= top - EQUAL), key=lambda trial: trial.log_loss)
    others = sorted((t for t in trials if t is not taken), key=lambda trial: -trial.accuracy)
    origins = {
        "layout": GIVEN if known.layout else SAID if len(layouts) == 1 else TRIED,
        "range": GIVEN if known.range else SAID if told.range else TRIED,
        "ink": GIVEN if known.ink else SAID if told.ink else TRIED,
        "outputs": GIVEN if known.outputs else SAID if told.outputs else SEEN,
    }
    return InferredSpec(taken.conventions, origins, (taken, *others))


def _layouts(told: DeclaredSpec, data: LabelledImages) -> list[str]:
    """The layouts in which these images have the shape that the model says it takes; all where it says none."""
    _, channels, height, width = data.pixels.shape
    shapes = {
        "nchw": (channels, height, width),
        "nhwc": (height, width, channels),
        "flat": (height * width * channels,),
    }
    shapes |= {"nhw": (height, width)} if channels == 1 else {}
    if told.shape is None:
        return [layout for layout in LAYOUTS if layout in shapes]
    expected = told.shape[1:]
    fitting = [
        layout
        for layout in LAYOUTS
        if len(shapes.get(layout, ())) == len(expected)
        and all(length in (None, own) for length, own in zip(expected, shapes[layout], strict=True))
    ]
    if not fitting:
        takes = " by ".join("any" if length is None else str(length) for length in expected)
        raise UserError(
            f"the model takes images of {takes}; these are {height} by {width} with {channels} "
            f"channel{'s' * (channels > 1)}; load them in its size (--size, size=)"
        )
    return fitting


def _spread(data: LabelledImages, count: int) -> LabelledImages:
    """At most `count` images from all over the data, which may be ordered by class."""
    return data.select(np.unique(np.linspace(0, len(data) - 1, min(count, len(data))).astype(np.int64)))


def _tries(function: Function, possible: Sequence[InputSpec], stated: bool, data: LabelledImages) -> list[SpecTrial]:
    """A trial of each of the possible conventions that the model takes; raises UserError when it takes none."""
    trials, refusals = [], []
    images = data.pixels.astype(np.float32) / 255
    for conventions in possible:
        try:
            trials.append(_try(function, conventions, stated, images, data))
        except UserError as error:
            refusals.append(error)
        except Exception as error:  # whatever someone's own function raises
            said = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            refusals.append(UserError(f"the model does not take images of layout {conventions.layout}: {said}"))
    if not trials:
        raise refusals[0]
    return trials


def _try(
    function: Function, conventions: InputSpec, stated: bool, images: np.ndarray, data: LabelledImages
) -> SpecTrial:
    answer = function(as_wanted(images, conventions))
    if not stated:
        conventions = InputSpec(conventions.layout, conventions.range, conventions.ink, outputs_of(answer))
    scores = logits(answer, conventions.outputs, data.classes, len(data)).astype(np.float64)
    if not np.isfinite(scores).all():
        raise UserError("the model answers with numbers that are not finite")
    scores -= scores.max(1, keepdims=True)
    likelihood = scores[np.arange(len(data)), data.labels] - np.log(np.exp(scores).sum(1))
    correct = int((scores.argmax(1) == data.labels).sum())
    return SpecTrial(conventions, correct, len(data), float(-likelihood.mean()))


def _check_far_from_guessing(accuracy: float, data: LabelledImages, known: SpecHint) -> None:
    """Raises UserError below a quarter of the way from always naming the commonest class to all right."""
    commonest = np.bincount(data.labels, minlength=len(data.classes)).max() / len(data)
    if accuracy < commonest + (1 - commonest) / 4:
        missing = [f"--{name}" for name, value in asdict(known).items() if value is None and name != "outputs"]
        raise UserError(
            f"the model is right on {accuracy:.0%} of the validation images at best, however it is asked; always "
            f"naming the commonest class is on {commonest:.0%}; where it knows these images, say how it is asked: "
            f"{', '.join(missing)}"
        )

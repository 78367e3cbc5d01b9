"""Draws the small figures of docs/metrics.md with the package's own figure code: `python docs/draw_metrics.py`."""

from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from imparfait.evaluation.statistics import holm, wilson_interval
from imparfait.reports.figures.drawing import LIGHT, MIN_POINTS, as_file, figure_on
from imparfait.reports.figures.runs import confusion

FOLDER = Path(__file__).parent / "img" / "metrics"
BLUE, ORANGE, GREEN = LIGHT.series[:3]


def _empty(width: float, height: float) -> tuple[Figure, Axes]:
    figure, axes = figure_on(LIGHT, width, height)
    axes.grid(False)
    return figure, axes


def accuracy() -> Figure:
    """Ten images, eight of them correct."""
    figure, axes = _empty(4.6, 1.1)
    for place in range(10):
        correct = place not in (3, 8)
        axes.add_patch(Rectangle((place, 0), 0.86, 0.86, color=BLUE if correct else ORANGE))
        mark = "✓" if correct else "✗"
        axes.text(place + 0.43, 0.43, mark, ha="center", va="center", color="white", fontsize=13)
    axes.set(xlim=(-0.1, 10), ylim=(-0.1, 1), aspect="equal")
    axes.set_axis_off()
    axes.set_title("8 of 10 correct: accuracy 80 %")
    return figure


def confidence_interval() -> Figure:
    """Wilson's interval of 90 % for more and more images."""
    figure, axes = figure_on(LIGHT, 4.6, 2.2)
    for row, images in enumerate((10_000, 1000, 100, 20)):
        low, high = wilson_interval(round(0.9 * images), images)
        axes.plot([100 * low, 100 * high], [row, row], color=BLUE, linewidth=3)
        axes.plot(90, row, "o", color=BLUE, markersize=7)
    axes.set_yticks(range(4), ["10,000 images", "1,000", "100", "20"])
    axes.set(xlabel="accuracy in %, with 95 % interval", ylim=(-0.5, 3.5))
    return figure


def precision_recall_f1() -> Figure:
    """A confusion matrix of two classes."""
    figure = confusion(np.array([[8, 2], [4, 86]]), ("cat", "other"), LIGHT)
    figure.axes[0].set_xlabel("predicted class\ncat: precision 8/12 = 67 %\nrecall 8/10 = 80 %, F1 = 73 %")
    return figure


def nll() -> Figure:
    """−log of the true class's probability."""
    figure, axes = figure_on(LIGHT, 4.6, 2.4)
    probability = np.linspace(0.01, 1, 200)
    axes.plot(100 * probability, -np.log(probability), color=BLUE, linewidth=2)
    axes.plot(10, -np.log(0.1), "o", color=ORANGE)
    axes.annotate("guessing among 10: 2.30", (10, -np.log(0.1)), (18, 2.6), color=ORANGE)
    axes.set(xlabel="probability of the true class in %", ylabel="NLL of the image", ylim=(0, None))
    return figure


def brier_score() -> Figure:
    """Squared distances of three probabilities from the truth."""
    figure, axes = figure_on(LIGHT, 4.6, 2.4)
    given, truth = np.array([0.6, 0.3, 0.1]), np.array([1.0, 0, 0])
    axes.bar([0, 1, 2], given, color=BLUE, width=0.5, label="probability")
    axes.plot([0, 1, 2], truth, "D", color=ORANGE, label="truth")
    for place, (value, wanted) in enumerate(zip(given, truth, strict=True)):
        axes.annotate(f"{abs(wanted - value):.1f}²", (place + 0.3, (value + wanted) / 2), va="center")
    axes.set_xticks([0, 1, 2], ["cat", "dog", "owl"])
    axes.set_title("0.4² + 0.3² + 0.1² = 0.26")
    axes.legend(frameon=False, fontsize=MIN_POINTS)
    return figure


def ece() -> Figure:
    """A reliability diagram with its gaps."""
    figure, axes = figure_on(LIGHT, 3.6, 3.0)
    confidence, accuracy = np.array([55, 65, 75, 85, 95]), np.array([50, 58, 66, 78, 91])
    axes.plot([50, 100], [50, 100], color=LIGHT.ink, linewidth=0.8, linestyle=":")
    axes.vlines(confidence, accuracy, confidence, color=ORANGE, linewidth=3, label="gaps; ECE is their mean")
    axes.plot(confidence, accuracy, "o-", color=BLUE)
    axes.set(xlabel="confidence in %", ylabel="accuracy in %")
    axes.legend(frameon=False, fontsize=MIN_POINTS, loc="upper left")
    return figure


def ece_by_chance() -> Figure:
    """ECEs of a perfectly calibrated model on 200 images."""
    random = np.random.default_rng(0)
    confidence = random.beta(8, 1, size=(2000, 200))
    correct = random.random(confidence.shape) < confidence
    order = np.argsort(confidence, 1)
    gaps = (np.take_along_axis(confidence, order, 1) - np.take_along_axis(correct, order, 1)).reshape(2000, 10, 20)
    values = 100 * np.abs(gaps.mean(2)).mean(1)
    limit = float(np.quantile(values, 0.95))
    figure, axes = figure_on(LIGHT, 4.6, 2.4)
    axes.hist(values, 40, color=BLUE)
    axes.axvline(limit, color=ORANGE, linewidth=2)
    axes.annotate(f"by chance: 95 % of draws\nare below {limit:.1f} %", (limit + 0.2, 90), color=ORANGE)
    axes.set(xlabel="ECE in % of a perfectly calibrated model, 200 images", ylabel="draws", xlim=(0, limit + 4))
    return figure


def _confidences(axes: Axes) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    known, other = 100 * random.beta(9, 1.5, 20_000), 100 * random.beta(3, 3, 20_000)
    for values, colour, name in ((known, BLUE, "known classes"), (other, ORANGE, "no class")):
        axes.hist(values, 50, range=(0, 100), weights=np.full(len(values), 0.005), color=colour, alpha=0.6, label=name)
    axes.set(xlabel="confidence in %", ylabel="images in %", xlim=(0, 100))
    axes.legend(frameon=False, fontsize=MIN_POINTS, loc="upper left")
    return known, other


def auroc() -> Figure:
    """Two distributions of confidence that overlap a little."""
    figure, axes = figure_on(LIGHT, 4.6, 2.4)
    known, other = _confidences(axes)
    axes.set_title(
        f"blue is higher in {100 * np.mean(known > other):.0f} % of pairs: AUROC {np.mean(known > other):.2f}"
    )
    return figure


def fpr95() -> Figure:
    """The share of the other distribution above a threshold."""
    figure, axes = figure_on(LIGHT, 4.6, 2.4)
    known, other = _confidences(axes)
    threshold = float(np.quantile(known, 0.05))
    axes.axvline(threshold, color=LIGHT.ink, linewidth=1.5)
    axes.set_title(f"95 % of blue are right of the line, {100 * np.mean(other > threshold):.0f} % of orange: the FPR95")
    return figure


def corruption_error() -> Figure:
    """Errors of a model and of the baseline."""
    figure, axes = figure_on(LIGHT, 4.6, 1.6)
    axes.barh([1, 0], [12, 3], color=[ORANGE, BLUE], height=0.55)
    axes.set_yticks([1, 0], ["baseline", "model"])
    axes.set_xlabel("errors in %")
    axes.set_title("CE = 3 % / 12 % = 0.25")
    return figure


def holm_correction() -> Figure:
    """p values before and after."""
    figure, axes = figure_on(LIGHT, 4.6, 2.4)
    raw = [0.001, 0.012, 0.03, 0.2]
    axes.plot(raw, range(4), "o", color=BLUE, label="p of each test")
    axes.plot(holm(raw), range(4), "D", color=ORANGE, label="adjusted for four tests")
    axes.axvline(0.05, color=LIGHT.ink, linewidth=1)
    axes.set_yticks(range(4), [f"test {row + 1}" for row in range(4)])
    axes.set(xlabel="p; left of 0.05: a difference", xlim=(0, 0.25), ylim=(-0.5, 4.2))
    axes.legend(frameon=False, fontsize=MIN_POINTS, loc="upper right", ncols=2)
    return figure


DRAWINGS: dict[str, Callable[[], Figure]] = {
    function.__name__.replace("_", "-"): function
    for function in (
        accuracy, confidence_interval, precision_recall_f1, nll, brier_score, ece, ece_by_chance, auroc, fpr95,
        corruption_error, holm_correction,
    )
}  # fmt: skip
"""By the anchor of each metric in the package's glossary."""

if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, draw in DRAWINGS.items():
        with mpl.rc_context({"svg.fonttype": "none"}):  # letters, not outlines: a tenth of the size
            (FOLDER / f"{name}.svg").write_bytes(as_file(draw(), "svg"))

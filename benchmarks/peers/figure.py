"""Figure and table of the trainings of run.py.

python benchmarks/peers/figure.py results/peers-training --table

The figure shows the core mean on the validation set against training seconds, a line per peer and a mark per epoch.
With several seeds it shows the mean over seeds of each epoch that all have. The axis is logarithmic in the error, so 99
and 99.5 are as far apart as 98 and 99. The table gives the lead of `--ours` over each peer trained on the same images,
in points after the last epoch, with a paired 95 % interval over source images.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FixedLocator, LogLocator, NullFormatter, NullLocator

from imparfait.evaluation.intervals import difference_interval
from imparfait.reports.figures.drawing import THEMES, Theme, as_file, figure_on

CORE_SUITE = ("clean", "geometric", "shrunk")
NAMES = {
    "ultralytics": "Ultralytics yolo26n-cls",
    "timm": "timm resnet18",
    "pytorch": "PyTorch's example",
    "scikit-learn": "scikit-learn SVC",
    "keras": "the study's Keras code",
}
TICKS = (50, 60, 70, 80, 90, 95, 98, 99, 99.5, 99.7, 99.8, 99.9)  # percent correct
LABEL_GAP = 0.056  # least distance between labels, as a share of the height
TRAIN_ON = ("mixture", "clean")
RECORDED = {  # keys of recorded results, before they were renamed
    "on": "train_on",
    "right": "correct",
    "mean_of_the_three": "core_mean",
    "sha256_of_the_pictures": "sha256_of_images",
    "development_pictures": "validation_images",
}


@dataclass(frozen=True)
class PeerResult:
    """A peer trained on one set of images, with all its seeds."""

    peer: str
    train_on: str
    scores: Sequence[dict]
    rows: Sequence[Sequence[dict]]
    correct: Sequence[np.ndarray]
    """For each seed, bool [3, images], after its last epoch."""

    def course(self) -> np.ndarray:
        """Mean seconds and percent of the epochs that all seeds have, [2, epochs]."""
        epochs = min(map(len, self.rows))
        each = [[(row["seconds"], row["core_mean"]) for row in rows[:epochs]] for rows in self.rows]
        return np.array(each).mean(0).T

    @property
    def ours(self) -> bool:
        return self.peer.startswith("imparfait")

    def mean(self, key: str) -> float:
        return float(np.mean([scores[key] for scores in self.scores]))


def renamed(row: dict) -> dict:
    """A recorded row with the present keys."""
    return {RECORDED.get(key, key): value for key, value in row.items()}


def read(folder: Path) -> list[PeerResult]:
    """All complete trainings in `folder`, best first."""
    grouped: dict[tuple[str, str], list[Path]] = {}
    for file in sorted(folder.glob("*/scores.json")):
        scores = renamed(json.loads(file.read_text()))
        grouped.setdefault((scores["peer"], scores["train_on"]), []).append(file.parent)
    results = []
    for (peer, train_on), folders in grouped.items():
        scores = [renamed(json.loads((run / "scores.json").read_text())) for run in folders]
        rows = [
            [renamed(json.loads(line)) for line in (run / "rows.jsonl").read_text().splitlines()] for run in folders
        ]
        correct = []
        for run, score in zip(folders, scores, strict=True):
            bits_file = run / "correct.npz"
            with np.load(bits_file if bits_file.exists() else run / "right.npz") as file:
                bits = np.stack([file[name] for name in CORE_SUITE])
            correct.append(np.unpackbits(bits, axis=1, count=score["validation_images"]).astype(bool))
        results.append(PeerResult(peer, train_on, scores, rows, correct))
    for train_on in TRAIN_ON:
        if len({each["sha256_of_images"] for one in results if one.train_on == train_on for each in one.scores}) > 1:
            raise SystemExit(f"{folder}: trainings on {train_on} used different images")
    return sorted(results, key=lambda one: -one.mean("core_mean"))


def lead(ours: PeerResult, theirs: PeerResult) -> tuple[float, tuple[float, float]] | None:
    """Lead of ours over theirs in points, with its interval, over the seeds that both have."""
    by_seed = {score["seed"]: correct for score, correct in zip(ours.scores, ours.correct, strict=True)}
    pairs = [
        (by_seed[score["seed"]], correct)
        for score, correct in zip(theirs.scores, theirs.correct, strict=True)
        if score["seed"] in by_seed
    ]
    if not pairs:
        return None
    difference = sum(mine.sum(0).astype(int) - correct.sum(0) for mine, correct in pairs)
    each = len(CORE_SUITE) * len(pairs)
    low, high = difference_interval(difference / each)
    return 100 * float(difference.mean() / each), (100 * low, 100 * high)


def table(results: Sequence[PeerResult], ours: str) -> str:
    """Markdown table with a row per peer and training set."""
    mine = {one.train_on: one for one in results if one.peer == ours}
    lines = [
        "| trained on | peer | seeds | epochs | seconds | clean | geometric | shrunk | mean | "
        f"lead of `{ours}`, points | licence |",
        "| --- " * 11 + "|",
    ]
    for train_on in TRAIN_ON:
        for one in (one for one in results if one.train_on == train_on):
            total = one.scores[0]["validation_images"]
            core = [100 * np.mean([score["correct"][name] for score in one.scores]) / total for name in CORE_SUITE]
            difference = lead(mine[train_on], one) if train_on in mine and one.peer != ours else None
            interval = (
                "" if difference is None else "{:+.2f} ({:+.2f} to {:+.2f})".format(difference[0], *difference[1])
            )
            cells = [train_on, NAMES.get(one.peer, one.peer), str(len(one.scores)), f"{one.mean('epochs'):g}"]
            cells += [f"{one.mean('seconds'):,.0f}", *(f"{percent:.2f}" for percent in core)]
            cells += [f"**{one.mean('core_mean'):.2f}**", interval, one.scores[0]["licence"]]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def spread(targets: Sequence[float]) -> list[float]:
    """Heights near the targets, in the same falling order, at least LABEL_GAP apart."""
    heights = list(targets)
    for _ in range(200):  # neighbours that are too close push each other apart equally
        for index in range(len(heights) - 1):
            lacking = LABEL_GAP - (heights[index] - heights[index + 1])
            if lacking > 1e-4:
                heights[index] += lacking / 2
                heights[index + 1] -= lacking / 2
    return heights


def draw(results: Sequence[PeerResult], theme: Theme) -> bytes:
    """The figure as PNG."""
    figure, axes = figure_on(theme, 9.6, 5.4)
    others = [peer for peer in NAMES if any(one.peer == peer for one in results)]
    ends = []
    for one in results:
        seconds, percent = one.course()
        index = 0 if one.ours else 1 + others.index(one.peer)
        axes.plot(
            seconds,
            np.maximum(100 - percent, 0.01),
            marker="osD^vP"[index],
            linestyle="-" if one.train_on == "mixture" else (0, (4, 2)),
            color=theme.series[index],
            linewidth=3 if one.ours else 1.6,
            markersize=7 if one.ours else 4.5,
            markerfacecolor=theme.series[index] if one.train_on == "mixture" else theme.paper,
            zorder=4 if one.ours else 3,
        )
        ends.append((one, seconds[-1], max(100 - percent[-1], 0.01), theme.series[index]))
    errors = [100 - value for one in results for value in one.course()[1]]
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_ylim(min(90.0, max(errors) * 1.25), max(0.01, min(errors) / 1.25))
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_locator(FixedLocator([100 - tick for tick in TICKS]))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 - value:g}")
    axes.tick_params(labelsize=11)
    axes.set_xlabel("seconds of training, 2 cores" if results[0].scores[0]["threads"] == 2 else "seconds of training")
    axes.set_ylabel("core mean in % (clean, geometric, shrunk)")
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set_fontsize(11)
    axes.set_title(
        "solid: same fixed corrupted images    dashed: clean images with each library's own augmentation",
        loc="left",
        fontsize=10.5,
        color=theme.ink,
    )
    label_ends(axes, ends, theme)
    return as_file(figure, "png")


def label_ends(axes: Axes, ends: Sequence[tuple[PeerResult, float, float, str]], theme: Theme) -> None:
    """Label each line at the right edge, near its height, with a leader to its end."""
    worst, best = np.log(axes.get_ylim())
    ends = sorted(ends, key=lambda end: end[2])
    heights = spread([(worst - np.log(wrong)) / (worst - best) for _, _, wrong, _ in ends])
    for (one, seconds, wrong, colour), height in zip(ends, heights, strict=True):
        name = NAMES.get(one.peer, one.peer)
        axes.annotate(
            f"{name}{', clean' if one.train_on == 'clean' else ''}  {100 - wrong:.2f}",
            (seconds, wrong),
            (1.03, height),
            textcoords="axes fraction",
            va="center",
            color=colour,
            fontsize=11,
            fontweight="bold" if one.ours else "normal",
            path_effects=[withStroke(linewidth=2.5, foreground=theme.paper)],
            arrowprops={
                "arrowstyle": "-",
                "color": colour,
                "linewidth": 0.7,
                "alpha": 0.55,
                "shrinkA": 2,
                "relpos": (0, 0.5),
            },
            annotation_clip=False,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="the --out of run.py")
    parser.add_argument("--table", action="store_true", help="write table.md too")
    parser.add_argument(
        "--ours",
        default="imparfait default",
        help="result that the table compares with the others [default: imparfait default]",
    )
    options = parser.parse_args()
    results = read(options.folder)
    if not results:
        raise SystemExit(f"{options.folder}: no complete training")
    for name, theme in THEMES.items():
        (options.folder / f"peers-{name}.png").write_bytes(draw(results, theme))
    if options.table:
        (options.folder / "table.md").write_text(table(results, options.ours))
        print(table(results, options.ours))


if __name__ == "__main__":
    main()

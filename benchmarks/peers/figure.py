"""What peers.py found, as a figure for light and for dark paper, and as a table.

python benchmarks/peers_figure.py results/<date>-peers --table

A line a peer: how many of the three are right (their mean, validation images) against seconds of training, a mark an
epoch; over several seeds, the mean of each epoch that all have. The scale is that of wrong answers, so that 99 and 99.5
lie as far apart as 98 and 99. The table says how far `--ours` lies above each peer that learned from the same images:
in points, with the paired 95 % interval over source images, after the last epoch of both.
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

from imparfait.evaluation.statistics import bootstrap_interval
from imparfait.reports.figures import THEMES, Theme, as_png
from imparfait.reports.figures.drawing import figure_on

CORE_SUITE = ("clean", "geometric", "shrunk")
NAMES = {
    "ultralytics": "Ultralytics yolo26n-cls",
    "timm": "timm resnet18",
    "pytorch": "PyTorch's example",
    "scikit-learn": "scikit-learn SVC",
    "keras": "the study's Keras code",
}
TICKS = (50, 60, 70, 80, 90, 95, 98, 99, 99.5, 99.7, 99.8, 99.9)  # percent right
APART = 0.056  # of the height, between two labels
WAYS = ("augmentation", "clean")


@dataclass(frozen=True)
class Found:
    """One peer, trained on one kind of images, with each of its seeds."""

    peer: str
    on: str
    scores: Sequence[dict]
    rows: Sequence[Sequence[dict]]
    right: Sequence[np.ndarray]
    """Of each seed, bool [3, images], after its last epoch."""

    def course(self) -> np.ndarray:
        """Seconds and percent of the epochs that all seeds have, [2, epochs]."""
        epochs = min(map(len, self.rows))
        each = [[(row["seconds"], row["core_mean"]) for row in rows[:epochs]] for rows in self.rows]
        return np.array(each).mean(0).T

    @property
    def ours(self) -> bool:
        return self.peer.startswith("imparfait")

    def mean(self, key: str) -> float:
        return float(np.mean([scores[key] for scores in self.scores]))


def read(folder: Path) -> list[Found]:
    """All that is complete in `folder`, the best first."""
    grouped: dict[tuple[str, str], list[Path]] = {}
    for file in sorted(folder.glob("*/scores.json")):
        scores = json.loads(file.read_text())
        grouped.setdefault((scores["peer"], scores["on"]), []).append(file.parent)
    found = []
    for (peer, on), places in grouped.items():
        scores = [json.loads((place / "scores.json").read_text()) for place in places]
        rows = [[json.loads(line) for line in (place / "rows.jsonl").read_text().splitlines()] for place in places]
        right = []
        for place, score in zip(places, scores, strict=True):
            with np.load(place / "right.npz") as file:
                bits = np.stack([file[part] for part in CORE_SUITE])
            right.append(np.unpackbits(bits, axis=1, count=score["development_pictures"]).astype(bool))
        found.append(Found(peer, on, scores, rows, right))
    for on in WAYS:
        if len({each["sha256_of_the_pictures"] for one in found if one.on == on for each in one.scores}) > 1:
            raise SystemExit(f"{folder}: not all that learned from {on} learned from the same images")
    return sorted(found, key=lambda one: -one.mean("core_mean"))


def ahead(ours: Found, theirs: Found) -> tuple[float, tuple[float, float]] | None:
    """How far ours lies above theirs, in points, with its interval: over the seeds that both have."""
    at = {score["seed"]: right for score, right in zip(ours.scores, ours.right, strict=True)}
    pairs = [
        (at[score["seed"]], right)
        for score, right in zip(theirs.scores, theirs.right, strict=True)
        if score["seed"] in at
    ]
    if not pairs:
        return None
    difference = sum(mine.sum(0).astype(int) - right.sum(0) for mine, right in pairs)
    each = len(CORE_SUITE) * len(pairs)
    low, high = bootstrap_interval(difference, each)
    return 100 * float(difference.mean() / each), (100 * low, 100 * high)


def table(found: Sequence[Found], ours: str) -> str:
    """Markdown: a row a peer and kind of images."""
    mine = {one.on: one for one in found if one.peer == ours}
    lines = [
        "| learned from | peer | seeds | epochs | seconds | clean | geometric | shrunk | mean | "
        f"`{ours}` minus it, in points | licence |",
        "| --- " * 11 + "|",
    ]
    for on in WAYS:
        for one in (one for one in found if one.on == on):
            total = one.scores[0]["development_pictures"]
            parts = [100 * np.mean([score["right"][part] for score in one.scores]) / total for part in CORE_SUITE]
            difference = ahead(mine[on], one) if on in mine and one.peer != ours else None
            told = "" if difference is None else "{:+.2f} ({:+.2f} to {:+.2f})".format(difference[0], *difference[1])
            jobs = [on, NAMES.get(one.peer, one.peer), str(len(one.scores)), f"{one.mean('epochs'):g}"]
            jobs += [f"{one.mean('seconds'):,.0f}", *(f"{part:.2f}" for part in parts)]
            jobs += [f"**{one.mean('mean_of_the_three'):.2f}**", told, one.scores[0]["licence"]]
            lines.append(f"| {' | '.join(jobs)} |")
    return "\n".join(lines) + "\n"


def spread(expected: Sequence[float]) -> list[float]:
    """Heights near those expected, in falling order as they are, none nearer to the next than APART."""
    heights = list(expected)
    for _ in range(200):  # neighbours that are too near push each other away by the same
        for index in range(len(heights) - 1):
            lacking = APART - (heights[index] - heights[index + 1])
            if lacking > 1e-4:
                heights[index] += lacking / 2
                heights[index + 1] -= lacking / 2
    return heights


def drawn(found: Sequence[Found], theme: Theme) -> bytes:
    figure, axes = figure_on(theme, 9.6, 5.4)
    others = [peer for peer in NAMES if any(one.peer == peer for one in found)]
    ends = []
    for one in found:
        seconds, percent = one.course()
        place = 0 if one.ours else 1 + others.index(one.peer)
        axes.plot(
            seconds,
            np.maximum(100 - percent, 0.01),
            marker="osD^vP"[place],
            linestyle="-" if one.on == "augmentation" else (0, (4, 2)),
            color=theme.series[place],
            linewidth=3 if one.ours else 1.6,
            markersize=7 if one.ours else 4.5,
            markerfacecolor=theme.series[place] if one.on == "augmentation" else theme.paper,
            zorder=4 if one.ours else 3,
        )
        ends.append((one, seconds[-1], max(100 - percent[-1], 0.01), theme.series[place]))
    wrong = [100 - value for one in found for value in one.course()[1]]
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_ylim(min(90.0, max(wrong) * 1.25), max(0.01, min(wrong) / 1.25))
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_locator(FixedLocator([100 - tick for tick in TICKS]))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 - value:g}")
    axes.tick_params(labelsize=11)
    axes.set_xlabel("seconds of training, 2 cores" if found[0].scores[0]["threads"] == 2 else "seconds of training")
    axes.set_ylabel("right in %: mean of clean, geometric and shrunk")
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set_fontsize(11)
    axes.set_title(
        "solid: all learn from the same corrupted pixels    dashed: from clean images, corrupted as each does by default",
        loc="left",
        fontsize=10.5,
        color=theme.ink,
    )
    label_ends(axes, ends, theme)
    return as_png(figure)


def label_ends(axes: Axes, ends: Sequence[tuple[Found, float, float, str]], theme: Theme) -> None:
    """Name each line to the right of all, as near to its height as there is room, with a thread to its end."""
    worst, best = np.log(axes.get_ylim())
    ends = sorted(ends, key=lambda end: end[2])
    heights = spread([(worst - np.log(wrong)) / (worst - best) for _, _, wrong, _ in ends])
    for (one, seconds, wrong, colour), height in zip(ends, heights, strict=True):
        name = NAMES.get(one.peer, one.peer)
        axes.annotate(
            f"{name}{', from clean' if one.on == 'clean' else ''}  {100 - wrong:.2f}",
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
    parser.add_argument("folder", type=Path, help="the --out of peers.py")
    parser.add_argument("--table", action="store_true", help="write table.md too")
    parser.add_argument("--ours", default="imparfait default", help="whom the table compares with")
    options = parser.parse_args()
    found = read(options.folder)
    if not found:
        raise SystemExit(f"{options.folder}: nothing in it is complete")
    for name, theme in THEMES.items():
        (options.folder / f"peers-{name}.png").write_bytes(drawn(found, theme))
    if options.table:
        (options.folder / "table.md").write_text(table(found, options.ours))
        print(table(found, options.ours))


if __name__ == "__main__":
    main()

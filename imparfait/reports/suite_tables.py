"""The table of a suite, corruption by corruption, and its files: CSV for programs, LaTeX for papers."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from imparfait.evaluation.model_comparison import ModelGroup
from imparfait.evaluation.robustness import ENOUGH, CorruptionSummary
from imparfait.evaluation.scores import percent
from imparfait.evaluation.statistics import Crossing, crossing
from imparfait.evaluation.suite import CLEAN

NONE = "–"
HEADINGS = (
    "corruption",
    "family",
    "mean, %",
    "MNIST-C's",
    "protocol's",
    f"below {100 * ENOUGH:.0f} % from",
    "CE",
)
MEAN = "mean"
IN_LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "–": "--", "≥": r"$\geq$"}
IN_LATEX |= {sign: f"\\{sign}" for sign in "%_&#${}"}


def rows_of(model: ModelGroup) -> list[CorruptionSummary]:
    """A row a corruption; several seeds in the mean, and where that mean crosses 95 %."""
    each = [{row.corruption: row for row in suite.rows} for suite in model.seeds]
    return (
        list(each[0].values())
        if len(each) == 1
        else [_in_the_mean(model, [one[name] for one in each]) for name in each[0]]
    )


def _in_the_mean(model: ModelGroup, rows: Sequence[CorruptionSummary]) -> CorruptionSummary:
    row = rows[0]
    places = [(CLEAN, 0.0), *((row.corruption, severity) for severity in row.severities)]
    parts = [[suite.parts[place] for suite in model.seeds] for place in places]
    correct = np.stack([np.mean([part.said == part.truths for part in seeds], 0) for seeds in parts])
    return replace(
        row,
        accuracies=tuple(correct[1:].mean(1).tolist()),
        intervals=tuple(map(tuple, np.mean([each.intervals for each in rows], 0).tolist())),
        crossing=crossing(np.array([0.0, *row.severities]), correct, ENOUGH, resamples=1000),
        mnist_c=_mean([each.mnist_c for each in rows]),
        protocol=_mean([each.protocol for each in rows]),
    )


def _mean(values: Sequence[float | None]) -> float | None:
    """The mean of all, None where one is."""
    found = [value for value in values if value is not None]
    return float(np.mean(found)) if len(found) == len(values) else None


def mnist_c(model: ModelGroup) -> float | None:
    """The mean over MNIST-C's 15 and over seeds, where all are in the suite."""
    return _mean([suite.mnist_c_mean for suite in model.seeds])


def core_suite(model: ModelGroup) -> float | None:
    """The mean of the core suite and over seeds, where all are in the suite."""
    return _mean([suite.core_mean for suite in model.seeds])


def share(value: float | None) -> str:
    """An accuracy as tables write it."""
    return NONE if value is None else percent(value)


def _number(value: float | None) -> str:
    return NONE if value is None else f"{100 * value:.2f}"


def where(row: CorruptionSummary) -> str:
    """Where it crosses 95 %, in few words: "0.32 (0.30 – 0.34)"."""
    found = row.crossing
    if len(row.severities) == 1:  # nothing is known between the images as they are and this one level
        return "at its one level" if row.accuracy < ENOUGH else "not reached"
    if found.severity is None:
        return "not reached" if found.low is None else f"not reached (≥ {found.low:.2f})"
    if found.severity == 0:
        return "as they are"
    if found.severity < row.severities[0]:  # where below it, a straight line from the images as they are cannot tell
        return f"before {row.severities[0]:g}"
    low, high = ("beyond" if end is None else f"{end:.2f}" for end in (found.low, found.high))
    return f"{found.severity:.2f} ({low} – {high})"


def lines(model: ModelGroup, rows: Sequence[CorruptionSummary], errors: Mapping[str, float]) -> list[tuple[str, ...]]:
    """The table as people read it, its mean last; `errors` are corruption errors, or none."""
    found = [
        (
            row.name,
            row.family,
            _number(row.accuracy),
            _number(row.mnist_c),
            _number(row.protocol),
            where(row),
            f"{errors[row.corruption]:.2f}" if row.corruption in errors else NONE,
        )
        for row in rows
    ]
    mean_error = f"{np.mean(list(errors.values())):.2f}" if errors else NONE
    return [*found, (MEAN, "", _number(model.mean), _number(mnist_c(model)), "", "", mean_error)]


def write_tables(
    folder: Path, models: Mapping[ModelGroup, Sequence[CorruptionSummary]], errors: Mapping[str, Mapping[str, float]]
) -> None:
    """`table.csv`, in shares and with empty cells where there is nothing, and `table.tex`, as it is read."""
    texts = ["% needs \\usepackage{booktabs}"]
    with (folder / "table.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        about = ["model", "corruption", "family", "mean", "mnist_c", "protocol"]
        writer.writerow([*about, "below_95_from", "below_95_from_low", "below_95_from_high", "corruption_error"])
        for model, rows in models.items():
            ours = errors.get(model.name, {})
            texts.append(_latex(model, lines(model, rows, ours)))
            for row in rows:
                there = row.crossing if len(row.severities) > 1 else Crossing(None, None, None)
                numbers = [row.accuracy, row.mnist_c, row.protocol, there.severity, there.low, there.high]
                numbers.append(ours.get(row.corruption))
                writer.writerow([model.name, row.name, row.family, *map(_six, numbers)])
    (folder / "table.tex").write_text("\n\n".join(texts) + "\n", encoding="utf-8")


def _six(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}"


def _latex(model: ModelGroup, rows: Sequence[Sequence[str]]) -> str:
    *body, mean = (" & ".join(map(_escaped, row)) + r" \\" for row in rows)
    head = " & ".join(map(_escaped, HEADINGS)) + r" \\"
    begin = [f"% {' '.join(model.name.split())}", r"\begin{tabular}{llrrrrr}", r"\toprule", head, r"\midrule"]
    return "\n".join([*begin, *body, r"\midrule", mean, r"\bottomrule", r"\end{tabular}"])


def _escaped(text: str) -> str:
    return "".join(IN_LATEX.get(sign, sign) for sign in text)


def write_long_csv(path: Path, models: Sequence[ModelGroup]) -> None:
    """Counts of right answers: a line a model, seed, corruption, severity and class."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["model", "seed", "corruption", "severity", "class", "correct", "total"])
        for model in models:
            for seed, suite in enumerate(model.seeds):
                for part in suite.scores.parts:
                    counts = part.confusion()
                    for name, correct, total in zip(
                        suite.scores.classes, counts.diagonal(), counts.sum(1), strict=True
                    ):
                        writer.writerow(
                            [model.name, seed, part.corruption, f"{part.severity:.6g}", name, correct, total]
                        )

"""The report of a search: what was found, how good it is, and how it was found."""

import csv
from pathlib import Path

import numpy as np

from imparfait.core.compute import ComputeConfig
from imparfait.core.hardware import environment
from imparfait.core.storage import write_json
from imparfait.evaluation.scores import percent
from imparfait.reports.figures import best_so_far, shares, slices
from imparfait.reports.page import Plate, write_page
from imparfait.selection.search_result import Finding
from imparfait.selection.search_space import Range
from imparfait.training.settings import as_toml


def write_search(folder: Path, title: str, finding: Finding, compute: ComputeConfig) -> None:
    """`report.html`, its figures, `search.json`, `trials.csv` and, where a trial finished, `best.toml` in `folder`."""
    write_json(folder / "search.json", finding.to_json())
    _write_trials(folder / "trials.csv", finding)
    if finding.best:
        (folder / "best.toml").write_text(as_toml(finding.best[1].settings), encoding="utf-8")
    write_page(
        folder,
        "search.html",
        title=title,
        plates=_plates(finding) if finding.best else [],
        facts={
            "space": {name: str(values) for name, values in finding.space.items()},
            "started from": finding.start.model_dump(),
            "compute": environment(compute),
        },
        finding=finding,
        percent=percent,
    )


def _write_trials(path: Path, finding: Finding) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        names = list(finding.space)
        writer.writerow(["method", "repeat", "trial", *names, "holdout", "folds", "mean", "seconds", "won", "cause"])
        for search in finding.searches:
            for trial in search.trials:
                values = [trial.values[name] for name in names]
                accuracies = [f"{trial.folds[0]:.6f}" if trial.folds else "", len(trial.folds), f"{trial.mean:.6f}"]
                won = search.winner is not None and search.winner.number == trial.number
                about = [f"{trial.seconds:.3f}", won, trial.cause]
                writer.writerow([search.method, search.seed, trial.number, *values, *accuracies, *about])


def _plates(finding: Finding) -> list[Plate]:
    trials = [trial for search in finding.searches for trial in search.trials if trial.folds]
    accuracy = np.array([trial.folds[0] for trial in trials])
    tried = {
        name: ([trial.values[name] for trial in trials], isinstance(values, Range) and values.log)
        for name, values in finding.space.items()
    }
    explained = finding.importances()
    plates = [
        Plate(
            "best_so_far",
            "The best so far, over cost",
            "Each thin line is one search; what it shows is the best trial on its own holdout, which flatters: the "
            "accuracy of what was found is measured elsewhere.",
            lambda theme: best_so_far(finding.curves(), theme),
        ),
        Plate(
            "slices",
            "Each setting by itself",
            "A dot a trial; the worst fifth is left out below. Where the dots make a hill inside the range, the range "
            "was wide enough; where they rise to an edge, look beyond it.",
            lambda theme: slices(tried, accuracy, theme),
        ),
    ]
    if explained:
        plates.append(
            Plate(
                "importances",
                "Which settings matter",
                "The share of the differences between trials that each setting explains, by itself or with others "
                "(fANOVA): of this space and these trials, not of networks in general.",
                lambda theme: shares(explained, theme),
            )
        )
    return plates

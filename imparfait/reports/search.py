"""The report of a search: the settings found, their accuracy, and how they were found."""

import csv
from pathlib import Path
from typing import Any

import numpy as np

from imparfait.core.hardware import environment
from imparfait.core.storage import atomic_directory, write_json
from imparfait.reports.comparison_text import method_sentence, search_headings, search_rows, search_sentences
from imparfait.reports.figures.comparisons import ARGUMENTS, best_so_far, in_words, shares, slices
from imparfait.reports.latex import LatexTable
from imparfait.reports.page import PageFigure, write_page
from imparfait.reports.text import percent, verdict_sentence
from imparfait.reports.translation import Language
from imparfait.selection.search_result import SearchResult
from imparfait.selection.search_space import Range
from imparfait.training.settings import as_toml

BEST = "best.toml"
SEARCH_HEADINGS = ("method", "repeat", "trials", "failed", "seconds", "accuracy in the search", "on fresh splits")


def write_search(folder: Path, title: str, result: SearchResult, language: Language = "en") -> None:
    """Write `folder`, whole or not at all: `report.html`, figures, `search.json`, `trials.csv` and `best.toml`.

    The latter only if a trial finished.
    """
    with atomic_directory(folder) as unfinished:
        _write(unfinished, title, result, language)


def _write(folder: Path, title: str, result: SearchResult, language: Language) -> None:
    write_json(folder / "search.json", search_json(result))
    _write_trials(folder / "trials.csv", result)
    if result.best:
        (folder / BEST).write_text(as_toml(result.best[1].settings), encoding="utf-8")
    searches = [_search_row(one) for one in result.to_json()["searches"]]
    write_page(
        folder,
        "search.html",
        title=title,
        figures=_figures(result) if result.best else [],
        facts={
            "space": {name: str(values) for name, values in result.space.items()},
            "starting settings": result.start.model_dump(),
            "compute": environment(result.compute),
        },
        language=language,
        names=_names(result),
        result=result,
        headings=search_headings(result),
        rows=search_rows(result),
        sentences=search_sentences(result),
        search_headings=SEARCH_HEADINGS,
        search_rows=searches,
        percent=percent,
        too_few_trials=result.trials_for_importances if not result.importances() else 0,
        latex=[
            LatexTable(
                f"{title} settings",
                f"{title}: settings at the start and found.",
                search_headings(result),
                search_rows(result),
            ),
            LatexTable(
                f"{title} searches",
                f"{title}: every search, and its winner on fresh splits.",
                SEARCH_HEADINGS,
                searches,
            ),
        ],
    )


def _names(result: SearchResult) -> set[str]:
    """The candidate, settings and arguments of its network, as they are written in TOML files."""
    arguments = {in_words(name) for name in result.space if name.startswith(ARGUMENTS)}
    return {result.name, *arguments, *(cell for row in search_rows(result) for cell in row)}


def _search_row(search: dict[str, Any]) -> tuple[str, ...]:
    """One search under SEARCH_HEADINGS."""
    confirmed = [accuracy for accuracy in search["confirmed"] if accuracy is not None]
    seen = search["search_mean"]
    return (
        *(str(search[name]) for name in ("method", "repeat", "trials", "failed")),
        f"{search['seconds']:.0f}",
        "–" if seen is None else percent(seen),
        percent(sum(confirmed) / len(confirmed)) if confirmed else "–",
    )


def search_json(result: SearchResult) -> dict[str, Any]:
    """A search as numbers, with the sentences about them."""
    content = result.to_json()
    if result.verdict:
        content["verdict"] = {"sentence": verdict_sentence(result.verdict)} | content["verdict"]
    methods = result.method_comparison
    return content | {"between_methods": method_sentence(methods) if methods else ""}


def _write_trials(path: Path, result: SearchResult) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        names = list(result.space)
        writer.writerow(["method", "repeat", "trial", *names, "holdout", "folds", "mean", "seconds", "won", "cause"])
        for search in result.searches:
            for trial in search.trials:
                values = [trial.values[name] for name in names]
                holdout, mean = ("" if a is None else f"{a:.6f}" for a in (trial.holdout, trial.mean))
                won = search.winner is not None and search.winner.number == trial.number
                facts = [holdout, len(trial.folds), mean, f"{trial.seconds:.3f}", won, trial.cause]
                writer.writerow([search.method, search.seed, trial.number, *values, *facts])


def _figures(result: SearchResult) -> list[PageFigure]:
    trials = [trial for search in result.searches for trial in search.trials if trial.holdout is not None]
    accuracy = np.array([trial.holdout for trial in trials], float)
    tried = {
        name: ([trial.values[name] for trial in trials], isinstance(values, Range) and values.log)
        for name, values in result.space.items()
    }
    explained = result.importances()
    figures = [
        PageFigure(
            "best_so_far",
            "Best accuracy so far, over cost",
            "Each thin line is one search: the best trial on the fold that the search itself saw, which is too "
            "optimistic. The accuracy of the settings found is measured on other splits.",
            lambda theme: best_so_far(result.curves(), theme),
        ),
        PageFigure(
            "slices",
            "Each setting by itself",
            "A dot per trial; the worst fifth is omitted. A peak inside the range means that the range was wide "
            "enough; a rise towards an edge suggests a wider one.",
            lambda theme: slices(tried, accuracy, theme),
        ),
    ]
    if explained:
        figures.append(
            PageFigure(
                "importances",
                "Which settings matter",
                "The share of the variance between trials that each setting explains, by itself or with others "
                "(fANOVA): valid for this space and these trials, not for networks in general.",
                lambda theme: shares(explained, theme),
            )
        )
    return figures

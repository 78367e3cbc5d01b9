"""Small reports of comparisons, searches and the study from made-up results, and the table of all kinds."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from helpers import report_kinds as kinds
from helpers.fake_jobs import NOWHERE, SMALL, made_up_result, plan_of, with_settings
from helpers.rehearsal import REHEARSAL
from helpers.report_kinds import DATA, DIGITS
from imparfait.core.compute import ComputeConfig
from imparfait.core.types import Classifier
from imparfait.data.corrupted import core_suite
from imparfait.evaluation.intervals import wilson_interval
from imparfait.evaluation.suite import full_suite
from imparfait.reports.comparison import write_comparison
from imparfait.reports.search import write_search
from imparfait.reports.translation import Language
from imparfait.selection.comparison import Comparison
from imparfait.selection.jobs import JobResult, failure
from imparfait.selection.plan import Reduction
from imparfait.selection.search_result import SearchResult
from imparfait.selection.search_space import Range, Space
from imparfait.selection.trials import Search, Trial
from imparfait.study import figures, quick_report, report
from imparfait.study.claims import Study
from imparfait.study.final_runs import FinalRun
from imparfait.study.quick import QuickStudy, quick_settings
from imparfait.study.quick_report import write_quick_study
from imparfait.study.report import write_study
from imparfait.study.scales import ABLATIONS, PAIR
from imparfait.training.settings import TrainingSettings

SPACE: Space = {"learning_rate": Range(low=1e-3, high=0.1, log=True), "batch_size": Range(low=8, high=64, step=8)}


def compared(*names: str, full: bool = False, **changes: object) -> Comparison:
    """Candidates of which each is a little less accurate than the one before it."""
    random = np.random.default_rng(0)
    corruptions = [(one.corruption, one.severity) for one in full_suite(DIGITS[:4])] if full else []
    changes |= {"corruptions": corruptions} if full else {}
    plan = plan_of(*names, sources=60, **changes)  # type: ignore[arg-type]
    plan = with_settings(plan, names[-1], epochs=3)
    n = len(plan.corruptions)
    return made_up_result(plan, lambda name, _: random.random((n, 60)) < 0.9 - 0.06 * names.index(name))


def comparison_report(folder: Path, language: Language) -> None:
    """Three candidates on the core suite, of which some jobs failed, in a reduced plan."""
    reduction = Reduction(what="seeds", wanted=(5,), planned=(3,))
    found = compared("a", "b", "lost", reductions=(reduction,))
    results = {slot: failure("NaN loss") if slot[0] == "lost" else one for slot, one in found.results.items()}
    left = Comparison(found.plan, found.classes, results)
    write_comparison(folder / "report", "Comparison: a, b, lost on bars", left, DATA, language)


def full_comparison_report(folder: Path, language: Language) -> None:
    """Two candidates on a suite with severities."""
    write_comparison(folder / "report", "Comparison: a, b on bars", compared("a", "b", full=True), DATA, language)


def _jobs(accuracy: float) -> tuple[JobResult, ...]:
    random, truths = np.random.default_rng(round(1000 * accuracy)), np.zeros(200, np.int64)
    tables = [(random.random((3, 200)) >= accuracy).astype(np.uint8) for _ in range(3)]
    return tuple(JobResult(np.arange(200), truths, table, training_seconds=2.0, provenance=NOWHERE) for table in tables)


def searched(name: str, trials: int, repeats: int = 1) -> SearchResult:
    """Searches by both methods, with one failed trial."""
    random = np.random.default_rng(0)
    searches = []
    for method in ("random", "bayes"):
        for seed in range(repeats):
            search = Search(method, seed, SMALL, dict(SPACE))
            for number in range(trials):
                rate, batch = float(10 ** random.uniform(-3, -1)), int(8 * random.integers(1, 9))
                settings = SMALL.model_copy(update={"learning_rate": rate, "batch_size": batch})
                folds = (0.5 + 0.4 * float(random.random()),) * (3 if number == 1 else 1) if number else ()
                search.trials.append(
                    Trial(
                        number,
                        {"learning_rate": rate, "batch_size": batch},
                        settings,
                        folds,
                        2.0,
                        "" if number else "NaN loss",
                    )
                )
            search.winner = search.trials[1]
            search.confirmed = _jobs(0.85 + 0.02 * seed)
            searches.append(search)
    return SearchResult(name, SMALL, dict(SPACE), searches, _jobs(0.8), 800, 200, ComputeConfig())


def search_report(folder: Path, language: Language) -> None:
    """Ten trials each of two methods, with importances."""
    write_search(folder / "report", "Hyperparameter search: small", searched("small", 10, 2), language)


def short_search_report(folder: Path, language: Language) -> None:
    """Four trials, too few for importances."""
    write_search(folder / "report", "Hyperparameter search: small", searched("small", 3), language)


def _final(name: str, settings: TrainingSettings, *correct: int) -> FinalRun:
    counts = dict(zip(("clean", "geometric", "shrunk"), correct, strict=True))
    epochs = tuple(
        {
            "loss": 1 / n,
            "accuracy": 0.3 * n,
            "seconds": 60.0 * n,
            "validation_clean": 0.3 * n,
            "validation_shrunk": 0.1 * n,
        }
        for n in (1, 2, 3)
    )
    return FinalRun(
        name=name, folder=Path(f"runs/{name}"), settings=settings, images=8000, epochs=epochs,
        confusion={key: np.array([[n, 500 - n, 0], [0, 250, 0], [0, 0, 250]]) for key, n in counts.items()},
        mean=sum(counts.values()) / 1500, interval=wilson_interval(sum(counts.values()), 1500), classes=DATA.classes,
    )  # fmt: skip


def _classifiers(folder: Path) -> Classifier:
    """A classifier that is wrong on corrupted bars for the run of clean ones, and right for the others."""
    known = {
        one.tobytes(): label
        for part in core_suite(DATA)
        for one, label in zip(part.data.pixels, part.data.labels, strict=True)
    }
    clean = {one.tobytes() for one in DATA.pixels}

    def classify(images: np.ndarray) -> np.ndarray:
        keys = [image.tobytes() for image in np.round(255 * images).astype(np.uint8)]
        wrong = [("clean only" in folder.name) and key not in clean for key in keys]
        labels = [(known[key] + is_wrong) % 3 for key, is_wrong in zip(keys, wrong, strict=True)]
        return 5 * np.eye(3, dtype=np.float32)[labels]

    return classify


def quick_study_report(folder: Path, language: Language) -> None:
    """Two trainings of the quick study."""
    names = dict(zip(quick_settings(), ((490, 400, 100), (480, 470, 440)), strict=True))
    finals = {name: _final(name, quick_settings()[name], *correct) for name, correct in names.items()}
    with pytest.MonkeyPatch.context() as patch:
        for module in (figures, quick_report):
            patch.setattr(module, "load_classifier", _classifiers)
        patch.setattr(quick_report, "read_manifest", lambda folder: type("Manifest", (), {"compute": ComputeConfig()}))
        write_quick_study(
            folder / "report", "The point of the founding study", QuickStudy(DATA.classes, finals), DATA, language
        )


def study_report(folder: Path, language: Language) -> None:
    """The whole study, with its comparisons and searches."""
    finals = {
        name: _final(name, settings, *(490, 100, 50) if "clean" in name else (480, 470, 440))
        for name, (_, settings) in REHEARSAL.finals().items()
    }
    searches = {name: searched(name, 4) for name in PAIR}
    pair, ablations = compared(*PAIR), compared(*PAIR, *ABLATIONS)
    study = Study(REHEARSAL, DATA.classes, searches, pair, ablations, finals)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "load_classifier", _classifiers)
        patch.setattr(report, "_export_keras", lambda study, path: "")
        write_study(folder / "report", "The founding study, repeated", study, DATA, DATA, language)


KINDS: Mapping[str, Callable[[Path, Language], None]] = {
    "run": kinds.run_report,
    "one epoch": kinds.one_epoch_report,
    "suite": kinds.suite_report,
    "models": kinds.models_report,
    "photo": kinds.photo_report,
    "comparison": comparison_report,
    "full comparison": full_comparison_report,
    "search": search_report,
    "short search": short_search_report,
    "drift": kinds.drift_report,
    "quiet drift": kinds.quiet_drift_report,
    "learning curve": kinds.curve_report,
    "quick study": quick_study_report,
    "study": study_report,
}

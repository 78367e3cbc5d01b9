"""A small report of every kind, from made-up results: nothing is trained."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from helpers.bars import draw_bars
from helpers.fake_jobs import NOWHERE, SMALL, made_up_result, plan_of, with_settings
from helpers.rehearsal import REHEARSAL
from imparfait.core.compute import ComputeConfig
from imparfait.core.rng import CounterRng
from imparfait.core.tensors import Images
from imparfait.core.types import Classifier
from imparfait.data.augmentation import AUGMENTATIONS, describe_overlap
from imparfait.data.corrupted import core_suite
from imparfait.evaluation.drift import drift
from imparfait.evaluation.intervals import wilson_interval
from imparfait.evaluation.model_comparison import Evaluation, ModelGroup, compare_models
from imparfait.evaluation.observations import Observations, properties_of
from imparfait.evaluation.robustness import SuiteResult
from imparfait.evaluation.scores import ConditionResult, Score, Scores, score_conditions
from imparfait.evaluation.suite import Condition, full_suite
from imparfait.evaluation.suspect_labels import SuspectLabel
from imparfait.evaluation.uncertainty import OodReport, calibration_by_family
from imparfait.reports import drift_text, robustness, run
from imparfait.reports.comparison import write_comparison
from imparfait.reports.doubtful_images import copies_figure, suspects_figure
from imparfait.reports.drift import write_drift
from imparfait.reports.learning_curve import write_curve
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
from imparfait.training.checkpoints import Epoch
from imparfait.training.learning_curve import LearningCurve, sentence
from imparfait.training.settings import TrainingSettings

DATA = draw_bars(60)
SPACE: Space = {"learning_rate": Range(low=1e-3, high=0.1, log=True), "batch_size": Range(low=8, high=64, step=8)}
OOD = [
    OodReport("noise", "uniform noise, Gaussian noise and smooth random fields", 10, 0.7, 0.2, None),
    OodReport("like", "letters shaped like digits, in STIX and CM", 10, 0.4, 0.9, 0.5, resembles_classes=True),
]


def half_right(images: np.ndarray) -> np.ndarray:
    """Logits that depend on the images, and are often wrong."""
    means = images.mean((1, 2, 3))
    return np.stack([np.sin(50 * means + 2 * index) for index in range(len(DATA.classes))], 1).astype(np.float32)


def run_report(folder: Path, language: Language) -> None:
    """A training of two epochs, with doubtful images."""
    conditions = core_suite(DATA)
    scores = score_conditions(half_right, conditions)
    epochs = [
        Epoch(n, 1 / n, 0.4 + 0.1 * n, 100, 3.0 * n, (Score("clean", 0.0, 30 + n, 60),), (1.2 / n, 1 / n))
        for n in (1, 2)
    ]
    copies = copies_figure(DATA, DATA, [])
    assert copies
    run.write_report(
        folder,
        title="Training: quick on bars, seed 3",
        circumstances="quick, seed 3: trained for 12 s on 1,234 images, calibrated on 60 validation images; on 60 "
        "validation images; the test images stay sealed; recall by class, clean: 51.67 % in the mean; lowest flat "
        "5.00 % of 20, steep 50.00 % of 20; no images of zigzag; less accurate on dark images (brightness at most "
        "0.12): 40.00 % of 30, others 60.00 % of 30; 1.5 to 30.0 points less (95 %, corrected for 4 slices); 12 of "
        "1,234 training images are like them; none of these: 5 % of the validation images are taken for none of the "
        "classes; found of others: blank 90 %, letters like digits 12 %; 2 labels are perhaps wrong, such as image 7, "
        "labelled flat and predicted steep, 97.20 %: see suspect_labels.csv. Suite mean 60.12 %: 32 corruptions at "
        "every severity, 60 images; worst: glass blur (similar) 12.00 %, fog (similar) 20.10 %.",
        overlap=describe_overlap(AUGMENTATIONS["unlike_mnist_c"]),
        scores=scores,
        conditions=conditions,
        figures=[
            run.training_figure(epochs),
            *run.prediction_figures(scores, conditions, half_right),
            suspects_figure([SuspectLabel(5, 0, 1, 0.9)], DATA, []),
            copies,
        ],
        facts={"run": {"name": "quick-abc"}, "settings": {"epochs": 2}, "compute": {"torch": "2.13.0"}},
        language=language,
        names=["quick", "bars", "zigzag"],
    )


def one_epoch_report(folder: Path, language: Language) -> None:
    """A training of one epoch without parts, evaluated on one condition, without mistakes."""
    conditions = core_suite(DATA)[:1]
    table = np.eye(len(DATA.classes), dtype=np.float32)[DATA.labels]
    scores = Scores((ConditionResult("clean", 0.0, DATA.sources, DATA.labels, table),), DATA.classes)
    run.write_report(
        folder,
        title="Evaluation: digits on bars, 1 condition",
        circumstances="digits on 60 of 1,200 validation images of bars, drawn by class; the test set stays sealed.",
        overlap=describe_overlap(AUGMENTATIONS["core"]),
        scores=scores,
        conditions=conditions,
        figures=[
            run.training_figure([Epoch(1, 0.5, 0.8, 100, 1.0)]),
            *run.prediction_figures(scores, conditions),
        ],
        facts={"settings": {"epochs": 1}},
        for_papers=False,
        language=language,
        names=["digits", "bars"],
    )


def _own(images: Images, severity: float, rng: CounterRng) -> Images:
    return images * (1 - severity / 2)


def suite_of(seed: int, strength: float, conditions: Sequence[Condition]) -> SuiteResult:
    """Predictions that are wrong more often at higher severity."""
    random, n, classes = np.random.default_rng(seed), len(DATA), len(DATA.classes)
    results = []
    for condition in conditions:
        wrong = random.random(n) < 0.05 + condition.severity * (1 - strength)
        predicted = np.where(wrong, (DATA.labels + 1) % classes, DATA.labels)
        confidence = random.uniform(0.5, 1, n)[:, None]
        table = np.where(np.arange(classes) == predicted[:, None], confidence, (1 - confidence) / (classes - 1))
        results.append(
            ConditionResult(
                condition.corruption, condition.severity, DATA.sources, DATA.labels, table.astype(np.float32)
            )
        )
    return SuiteResult(Scores(tuple(results), DATA.classes))


def _suite_report(
    folder: Path, language: Language, models: list[ModelGroup], conditions: Sequence[Condition], classifier: Classifier
) -> None:
    robustness.write_report(
        folder,
        title=f"Evaluation: {', '.join(model.name for model in models)} on bars, corruption suite",
        circumstances=f"{len(models)} network{'s' * (len(models) > 1)} on 60 test images of bars; test access 1 to "
        "these images, according to the ledger runs/TEST_LEDGER.csv; quick: 95 %: 60.10 to 70.20 over images, 50.00 to "
        "80.00 over 6 groups: expect the wider on images of new groups.",
        overlap=" ".join(f"{model.name}: {describe_overlap(AUGMENTATIONS['clean'])}" for model in models),
        evaluation=Evaluation(
            models,
            compare_models(models),
            {model.name: calibration_by_family(model.seeds[0]) for model in models},
            {model.name: OOD for model in models},
            {model.name: {"fog": 0.5, "stripe": 1.25} for model in models},
        ),
        data=DATA,
        conditions=conditions,
        classifier=classifier,
        facts={"quick": {"epochs": 1}, "compute": {"torch": "2.13.0"}},
        without_label_errors={"quick": (0.99, 0.995)},
        language=language,
    )


DIGITS = ["geometric", "shrunk", "gaussian_noise", "glass_blur", "fog", "stripe", "thin", "outline"]


def suite_report(folder: Path, language: Language) -> None:
    """One model on a suite of digits, one of its corruptions a user's own."""
    conditions = full_suite([*DIGITS, _own])
    _suite_report(folder, language, [ModelGroup("quick", (suite_of(0, 0.5, conditions),))], conditions, half_right)


def models_report(folder: Path, language: Language) -> None:
    """Two models on a suite of digits, the second with two seeds."""
    conditions = full_suite(DIGITS)
    seeds = tuple(suite_of(seed, 0.2, conditions) for seed in (1, 2))
    models = [ModelGroup("quick", (suite_of(0, 0.8, conditions),)), ModelGroup("my net", seeds)]
    _suite_report(folder, language, models, conditions, half_right)


def photo_report(folder: Path, language: Language) -> None:
    """One model on a suite of photographs."""
    conditions = full_suite(["photo.fog", "photo.frost", "photo.rotate", "photo.jpeg_compression"])
    _suite_report(folder, language, [ModelGroup("quick", (suite_of(0, 0.3, conditions),))], conditions, half_right)


def _compared(*names: str, full: bool = False, **changes: object) -> Comparison:
    """Candidates of which each is a little less accurate than the one before it."""
    random = np.random.default_rng(0)
    corruptions = [(one.corruption, one.severity) for one in full_suite(DIGITS[:4])] if full else []
    plan = plan_of(*names, sources=60, **{**({"corruptions": corruptions} if full else {}), **changes})
    plan = with_settings(plan, names[-1], epochs=3)
    n = len(plan.corruptions)
    return made_up_result(plan, lambda name, _: random.random((n, 60)) < 0.9 - 0.06 * names.index(name))


def comparison_report(folder: Path, language: Language) -> None:
    """Three candidates on the core suite, of which some jobs failed, in a reduced plan."""
    reduction = Reduction(what="seeds", wanted=(5,), planned=(3,))
    found = _compared("a", "b", "lost", reductions=(reduction,))
    results = {slot: failure("NaN loss") if slot[0] == "lost" else one for slot, one in found.results.items()}
    left = Comparison(found.plan, found.classes, results)
    write_comparison(folder / "report", "Comparison: a, b, lost on bars", left, DATA, language)


def full_comparison_report(folder: Path, language: Language) -> None:
    """Two candidates on a suite with severities."""
    write_comparison(folder / "report", "Comparison: a, b on bars", _compared("a", "b", full=True), DATA, language)


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


def _observed(n: int, first: int, change: Callable[[np.ndarray], np.ndarray], start: float) -> Observations:
    data, random = draw_bars(n, first_source=first), np.random.default_rng(first)
    labels = np.array(data.classes)[np.where(random.random(n) < 0.6, 0, data.labels) if first else data.labels]
    scores = np.round(random.beta(20, 1, n), 4)
    times = start + 1800.0 * np.arange(n)
    return Observations(properties_of(change(data.pixels)), labels, scores, scores < 0.8, np.arange(n), times)


def drift_report(folder: Path, language: Language) -> None:
    """Darker images than in training."""
    before = _observed(200, 0, lambda pixels: pixels, 1.79e9)
    now = _observed(200, 5000, lambda pixels: pixels // 2, 1.795e9)
    found = drift(before, now)
    compared = drift_text.compared_sentence(
        2000, 200, "bars", 1.795e9, 1.7954e9, "200 of 400 validation images of bars"
    )
    sentences = drift_text.drift_sentences(found, "in training")
    sentences += list(filter(None, [drift_text.verdict_sentence(found)]))
    write_drift(
        folder / "report",
        "Drift: images of bars in training and now",
        found,
        before,
        now,
        ("in training", "now"),
        sentences,
        [
            compared,
            drift_text.blocks_sentence("address and hour", False),
            "2 lines left out, cut off or not of such a log",
        ],
        drift_text.drift_json(found, {"model": "bars", "sentences": sentences}),
        language,
    )


def quiet_drift_report(folder: Path, language: Language) -> None:
    """No change against an earlier log."""
    before, now = (_observed(120, 0, lambda pixels: pixels, start) for start in (1.79e9, 1.791e9))
    found = drift(before, now)
    remarks = [
        drift_text.compared_sentence(120, 120, "", 1.79e9, 1.79e9, "120 images of the log before, 2026-09-21 14:13 UTC")
    ]
    write_drift(
        folder / "report", "Drift: images of a model before and now", found, before, now, ("before", "now"),
        [drift_text.verdict_sentence(found)], [*remarks, drift_text.blocks_sentence("request", True)],
        drift_text.drift_json(found, {"model": None}), language,
    )  # fmt: skip


def curve_report(folder: Path, language: Language) -> None:
    """Four trainings on more and more images."""
    correct = np.random.default_rng(0).random((4, 300)) < np.array([[0.7], [0.8], [0.85], [0.87]])
    curve = LearningCurve((100, 200, 300, 400), correct)
    needy = "classes with the lowest recall: flat: recall 61.0 %, 130 training images; steep: recall 90.0 %, "
    needy += "1 training image"
    write_curve(folder, "Learning curve: default on bars", curve, [sentence(curve), needy], language, DATA.classes)


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
    pair, ablations = _compared(*PAIR), _compared(*PAIR, *ABLATIONS)
    study = Study(REHEARSAL, DATA.classes, searches, pair, ablations, finals)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "load_classifier", _classifiers)
        patch.setattr(report, "_export_keras", lambda study, path: "")
        write_study(folder / "report", "The founding study, repeated", study, DATA, DATA, language)


KINDS: Mapping[str, Callable[[Path, Language], None]] = {
    "run": run_report,
    "one epoch": one_epoch_report,
    "suite": suite_report,
    "models": models_report,
    "photo": photo_report,
    "comparison": comparison_report,
    "full comparison": full_comparison_report,
    "search": search_report,
    "short search": short_search_report,
    "drift": drift_report,
    "quiet drift": quiet_drift_report,
    "learning curve": curve_report,
    "quick study": quick_study_report,
    "study": study_report,
}

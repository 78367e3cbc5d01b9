"""Every sentence about the quick study's plan and results."""

from collections.abc import Sequence

from imparfait.reports.text import duration, percent
from imparfait.study.final_runs import FinalRun
from imparfait.study.plan import Stage
from imparfait.study.quick import QuickRun, QuickStudy


def quick_summary(study: QuickStudy) -> tuple[str, str]:
    """The result in two sentences."""
    return (
        f"Trained on clean digits only, the CNN classifies {_accuracies(study.clean)} correctly.",
        f"Trained on clean and corrupted digits, the same network classifies {_accuracies(study.corrupted)}.",
    )


def conditions_sentence(study: QuickStudy) -> str:
    """What both trainings have in common, and what they are evaluated on."""
    final = study.clean
    return (
        f"Both networks train on the same {final.images:,} digits for {final.settings.epochs} epochs; only the "
        f"augmentation differs. Both are evaluated on {final.evaluated:,} validation images, each of them clean, "
        "geometric and shrunk. The test set is not used."
    )


def quick_plan_lines(run: QuickRun, stages: Sequence[Stage]) -> list[str]:
    """The trainings with their images and predicted duration, and the total."""
    shown = f"{len(run.finals.fit):,} images"
    epochs = [settings.epochs for _, settings in run.finals.settings.values()]
    rows = [
        f"  {stage.name:34}{n:>2} epochs of {shown}{duration(stage.seconds):>10}"
        for stage, n in zip(stages, epochs, strict=True)
    ]
    at_once = f"{run.workers} training{'s' * (run.workers > 1)} at once"
    return [
        f"predicted from measured throughput, {at_once}; finished work is not repeated:",
        *rows,
        f"  {'total':{len(rows[0]) - 12}}{duration(run.seconds(list(stages))):>10}",
    ]


def _accuracies(final: FinalRun) -> str:
    clean, *others = (f"{percent(final.accuracy(name))} of {name}" for name in final.confusion)
    return f"{clean} digits, {' and '.join(others)} ones"

"""The paragraph of a paper's methods section that describes a run, from its folder."""

import json
from pathlib import Path

from imparfait.core.storage import read_regular
from imparfait.evaluation.scores_file import ScoresFile, read_scores
from imparfait.models.metadata import MAX_JSON_BYTES
from imparfait.reports.text import percent, percent_range
from imparfait.training.manifest import RunManifest, read_manifest

SCHEDULES = {
    "one_cycle": "a one-cycle schedule and averaged weights",
    "constant": "a constant learning rate",
    "plateau": "a learning rate that falls when the loss stops falling",
}


def methods_paragraph(folder: Path) -> str:
    """What was trained, how, on what and with which result; raises UserError when the folder is not a finished run."""
    manifest, scores = read_manifest(folder), read_scores(folder)
    facts = json.loads(read_regular(folder / "environment.json", MAX_JSON_BYTES))
    return " ".join(
        [
            _training(manifest),
            f"We used imparfait {facts['imparfait']} and PyTorch {facts['torch']} on {manifest.compute.device} "
            f"({manifest.compute.precision}).",
            _evaluation(manifest, scores),
        ]
    )


def _training(manifest: RunManifest) -> str:
    settings = manifest.settings
    started = " from the weights of another run" if "weights" in manifest.origins else ""
    added = [
        f"label smoothing of {settings.label_smoothing:g}" if settings.label_smoothing else "",
        f"classes weighted by {settings.class_balance:g}" if settings.class_balance else "",
        f"{100 * settings.ood_fraction:g} % out-of-distribution images" if settings.ood_fraction else "",
        "distillation from a teacher" if any(name.startswith("teacher") for name in manifest.origins) else "",
    ]
    more = "".join(f", {part}" for part in added if part)
    return (
        f"We trained the network {settings.model}{started} on {manifest.data.images:,} images of {manifest.data.name} "
        f"for {settings.epochs} epoch{'s' * (settings.epochs > 1)} with the augmentation {settings.augmentation} and "
        f"seed {settings.seed}. The optimizer was AdamW (batches of {settings.batch_size}, learning rate "
        f"{settings.learning_rate:g}, weight decay {settings.weight_decay:g}), with {SCHEDULES[settings.schedule]}"
        f"{more}."
    )


def _evaluation(manifest: RunManifest, scores: ScoresFile) -> str:
    images = "test" if manifest.final else "validation"
    each = [
        f"{condition.corruption} (severity {condition.severity:g}) {percent(condition.correct / condition.total)}"
        if condition.severity
        else f"{condition.corruption} {percent(condition.correct / condition.total)}"
        for condition in scores.conditions
    ]
    count = f"{scores.conditions[0].total:,} {images} images"
    chosen = "" if manifest.final else "; the test set was not used"
    interval = f"95 % interval over images: {percent_range(scores.mean_interval)} %"
    if len(each) == 1:
        return f"On {count} the accuracy was {percent(scores.mean)} ({interval}){chosen}."
    return f"The accuracy on {count} was: {', '.join(each)}; mean {percent(scores.mean)} ({interval}){chosen}."

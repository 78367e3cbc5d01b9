"""Models asked and compared, and the folder that comes of it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from imparfait.cli import console
from imparfait.cli.asking import LoadedModel
from imparfait.cli.opening import describe_accesses
from imparfait.core.errors import UserError, lookup
from imparfait.core.hardware import environment
from imparfait.core.storage import atomic_directory, write_json
from imparfait.data.augmentation import AUGMENTATIONS, describe_overlap
from imparfait.data.dataset import LabelledImages
from imparfait.data.label_errors import is_mnist_test, without_disputed
from imparfait.data.load import Dataset
from imparfait.data.sealed_test import LEDGER, SealedTest
from imparfait.evaluation.model_comparison import ModelGroup, Verdict, grouped, verdicts
from imparfait.evaluation.robustness import SuiteResult, read_baseline
from imparfait.evaluation.scores import evaluate, percent
from imparfait.evaluation.suite import Condition, conditions_from, full_suite, shown
from imparfait.evaluation.uncertainty import by_family, ood_reports
from imparfait.reports import robustness as page
from imparfait.reports import run as page_of_three
from imparfait.reports.suite_json import as_json as told_as_json
from imparfait.training.run import write_scores


def prove(
    models: Sequence[LoadedModel], dataset: Dataset, test: SealedTest | None, *, full: bool, out: Path, as_json: bool
) -> None:
    """Ask every model every image, and leave a folder with a report in `out`; print the result."""
    parts = full_suite() if full else conditions_from()
    for model in models:
        if not test and model.manifest and model.manifest.final:
            raise UserError(f"{model.name} was fitted on the validation images too; leave --split validation out")
    images, suites = None if test else dataset.fitting()[1], {}
    remark = "on validation images; the test images stay sealed"
    for model in models:
        if test:
            with test.open(out / LEDGER, model.settings_hash) as opening:
                images, remark = opening.images, describe_accesses(opening)
                suites[model.name] = _ask(model, images, parts)
                opening.result = _in_brief(suites[model.name])
        elif images:
            suites[model.name] = _ask(model, images, parts)
    assert images is not None
    remark = f"{len(images):,} images; {remark}" if test else f"{len(images):,} images, {remark}"
    ending = f"-{images.name}{'-full' if full else ''}{'' if test else '-validation'}"
    names = "-and-".join(model.name.replace("/", "-") for model in models)
    folder = out / f"evaluate-{names[:80]}{ending}"
    rivals = grouped(suites, {model.name: model.group for model in models}.__getitem__)
    told = verdicts(rivals)
    with atomic_directory(folder) as unfinished:
        write_json(unfinished / "environment.json", environment(models[0].compute))
        if full or len(models) > 1:
            _leave_report(unfinished, models, rivals, told, images, parts, remark)
        else:
            _leave_short_report(unfinished, models[0], suites[models[0].name], images, parts, remark)
    _print(models, suites, told, remark, folder, as_json)


def _how(model: LoadedModel) -> str:
    return str(model.spec) if model.spec else ""


def _seen(model: LoadedModel) -> str:
    if not model.manifest:
        return "What its training showed it is not known here; these images may have been among it."
    return describe_overlap(lookup("augmentation", model.manifest.settings.augmentation, AUGMENTATIONS))


def _facts(model: LoadedModel) -> dict[str, Any]:
    return model.manifest.settings.model_dump() if model.manifest else {}


def _ask(model: LoadedModel, images: LabelledImages, parts: Sequence[Condition]) -> SuiteResult:
    title = f"{model.name}: {len(parts)} sets of images"
    with console.watched(model.classifier, title, len(parts) * len(images)) as watched:
        return SuiteResult(evaluate(watched, shown(images, parts)))


def _in_brief(suite: SuiteResult) -> str:
    three = suite.core_mean
    told = [f"clean {percent(suite.clean.score.accuracy)}"]
    told += [f"core mean {percent(three)}"] if three is not None else []
    return ", ".join(told + ([f"mean of the suite {percent(suite.mean)}"] if suite.is_full else []))


def _leave_short_report(
    folder: Path,
    model: LoadedModel,
    suite: SuiteResult,
    images: LabelledImages,
    parts: Sequence[Condition],
    remark: str,
) -> None:
    write_scores(folder, suite.scores)
    page_of_three.write_report(
        folder,
        title=f"{model.name} on {images.name}",
        conditions=f"The classifier {model.name} on {remark}. {_how(model)}".strip(),
        seen=_seen(model),
        scores=suite.scores,
        plates=page_of_three.answers(suite.scores, list(shown(images, parts))),
        facts={"settings": _facts(model), "compute": environment(model.compute)},
    )


def _leave_report(
    folder: Path,
    models: Sequence[LoadedModel],
    rivals: Sequence[ModelGroup],
    told: Sequence[Verdict],
    images: LabelledImages,
    parts: Sequence[Condition],
    remark: str,
) -> None:
    asked = {model.name: model for model in models}
    _, channels, height, width = images.pixels.shape
    trust = {rival.name: by_family(rival.seeds[0]) for rival in rivals}
    refused = {
        rival.name: ood_reports(
            asked[rival.name].classifier, rival.seeds[0], channels, height, width, asked[rival.name].threshold
        )
        for rival in rivals
    }
    baseline = read_baseline()
    errors = {rival.name: rival.seeds[0].corruption_error(baseline) for rival in rivals}
    write_json(folder / "scores.json", told_as_json(rivals, told, trust, refused, errors))
    page.write_report(
        folder,
        title=f"{', '.join(rival.name for rival in rivals)} on {images.name}",
        conditions=f"{len(models)} network{'s' * (len(models) > 1)} on {remark}.",
        seen=" ".join(f"{model.name}: {_seen(model)}" for model in models) if len(models) > 1 else _seen(models[0]),
        models=rivals,
        verdicts=told,
        trust=trust,
        refusals=refused,
        data=images,
        parts=parts,
        corruption_error=errors,
        asked={model.name: _how(model) for model in models if _how(model)},
        disputed=_disputed(rivals),
        facts={model.name: _facts(model) for model in models if _facts(model)}
        | {"compute": environment(models[0].compute)},
    )


def _disputed(rivals: Sequence[ModelGroup]) -> dict[str, tuple[float, float]]:
    """Clean accuracy with and without the disputed labels, where these are MNIST's test images."""
    found = {}
    for rival in rivals:
        clean = rival.seeds[0].clean
        if is_mnist_test(clean.truths):
            correct = clean.said == clean.truths
            found[rival.name] = (float(correct.mean()), float(correct[without_disputed(clean.truths)].mean()))
    return found


def _print(
    models: Sequence[LoadedModel],
    suites: dict[str, SuiteResult],
    told: Sequence[Verdict],
    remark: str,
    folder: Path,
    as_json: bool,
) -> None:
    first = suites[models[0].name]
    how = [f"{model.name}: {_how(model)}" for model in models if _how(model)]
    if len(models) == 1 and not first.is_full:
        console.result(first.scores, "\n".join([remark, *how]), folder, as_json)
        return
    if as_json:
        scores = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
        click.echo(json.dumps(scores | {"folder": str(folder)}, ensure_ascii=False))
        return
    if len(models) == 1:
        rows = [(row.name, percent(row.accuracy), percent(min(row.accuracies))) for row in first.rows]
        console.table(("corruption", "mean", "at worst"), rows, ("mean of the suite", percent(first.mean), ""))
        click.echo(_in_brief(first))
    else:
        console.table(("model", "result"), [(model.name, _in_brief(suites[model.name])) for model in models])
    for line in [*(verdict.sentence for verdict in told), *how, remark, f"report: {folder / 'report.html'}"]:
        click.echo(line)

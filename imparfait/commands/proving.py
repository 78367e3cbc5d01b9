"""Models opened, asked and compared, and the folder that comes of it."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import click
import numpy as np
from pydantic import BaseModel, ValidationError

from imparfait.classifiers import load_classifier, machine_of
from imparfait.commands import show
from imparfait.configs import MOST_BYTES, Sha256, config_of, read_regular
from imparfait.conventions import Known
from imparfait.datasets.disputed import is_mnist_test, without_disputed
from imparfait.datasets.labelled import LabelledImages
from imparfait.datasets.mixtures import MIXTURES, seen_in_training
from imparfait.datasets.reading import Dataset
from imparfait.datasets.sealed import LEDGER, SealedTest
from imparfait.datasets.suite import Part, shown, the_full_suite, the_parts_of
from imparfait.errors import UserError, lookup
from imparfait.evaluation import evaluate, percent
from imparfait.images import Classifier
from imparfait.machine import environment, usable_cores
from imparfait.proving import understood
from imparfait.report import robustness as page
from imparfait.report import run as page_of_three
from imparfait.robustness.rivals import Model, Verdict, grouped, verdicts
from imparfait.robustness.suites import Suite, read_baseline
from imparfait.robustness.trust import Refusal, Trust, by_family, refusals
from imparfait.runs import write_scores
from imparfait.settings import Machine, TrainingSettings, fingerprint
from imparfait.store import new_folder, write_json
from imparfait.strangers import open_stranger

NOT_OURS = "What its training showed it is not known here."
PICTURES_OF_NOTHING = 2000  # of each set


@dataclass(frozen=True, eq=False)
class Asked:
    """A model ready to be asked."""

    name: str
    classifier: Classifier
    recipe: str
    """Equal for runs that differ only in their seed."""
    settings: str
    """For the ledger."""
    machine: Machine
    seen: str = NOT_OURS
    how: str = ""
    """How another's model is asked, and how that was found."""
    threshold: float | None = None
    fitted_on_all: bool = False
    facts: dict[str, Any] = field(default_factory=dict)


class _Data(BaseModel, frozen=True):
    sha256: Sha256


class _Told(BaseModel, frozen=True):
    """What a run's settings.json says of its training, as far as it matters here."""

    settings: TrainingSettings
    data: _Data
    final: bool
    hash: Sha256

    @staticmethod
    def of(file: Path) -> "_Told":
        try:
            return _Told.model_validate_json(read_regular(file, MOST_BYTES))
        except ValidationError as error:
            raise UserError(
                f"{file}: not as a training wrote it; train again, or copy it from where you did"
            ) from error


@contextmanager
def opened(path: Path, dataset: Dataset, known: Known, device: str, network: str | None) -> Iterator[Asked]:
    """The model at `path`, a run folder of ours or someone's file; a file's process ends with the block."""
    if path.is_dir() or not path.exists():
        yield _run(path, dataset.train, device, network)
        return
    _, validation = dataset.fitting()
    machine = Machine(threads=usable_cores())
    with open_stranger(path, threads=machine.threads) as stranger:
        classifier, found = understood(stranger, stranger.told, validation, known)
        mark = fingerprint(path.name, str(found.conventions))
        yield Asked(path.name, classifier, path.name, mark, machine, how=str(found))


def _run(path: Path, train: LabelledImages, device: str, network: str | None) -> Asked:
    config = config_of(path)
    classifier = load_classifier(path, device, network)
    if list(config.classes) != list(train.classes):
        came, wanted = ", ".join(train.classes), ", ".join(config.classes)
        raise UserError(f"--data {train.name} has the classes {came}; {path} was trained on {wanted}")
    told = _Told.of(path / "settings.json")
    settings = told.settings
    seedless = fingerprint(settings.model_copy(update={"seed": 0}), told.data.sha256, f"final={told.final}")
    return Asked(
        path.resolve().name,
        classifier,
        seedless,
        told.hash,
        machine_of(path, device),
        seen_in_training(lookup("mixture", settings.mixture, MIXTURES)),
        threshold=config.threshold.confidence if config.threshold else None,
        fitted_on_all=told.final,
        facts=settings.model_dump(),
    )


def prove(
    models: Sequence[Asked], dataset: Dataset, test: SealedTest | None, *, full: bool, out: Path, as_json: bool
) -> None:
    """Ask every model every picture, and leave a folder with a report in `out`; print the result."""
    parts = the_full_suite() if full else the_parts_of()
    for model in models:
        if not test and model.fitted_on_all:
            raise UserError(f"{model.name} was fitted on all training pictures; leave --on validation out")
    pictures, suites, opened_times = None, {}, 0
    for model in models:
        if test:
            with test.open(out / LEDGER, model.settings) as opening:
                pictures, opened_times = opening.pictures, opening.times
                suites[model.name] = _ask(model, pictures, parts)
                opening.result = _in_brief(suites[model.name])
        else:
            pictures = pictures or dataset.fitting()[1]
            suites[model.name] = _ask(model, pictures, parts)
    assert pictures is not None
    remark = f"on {len(pictures):,} pictures kept out of fitting; the test pictures stay sealed"
    if test:
        times = "1 time" if opened_times == 1 else f"{opened_times} times"
        remark = f"on {len(pictures):,} test pictures, which have been opened {times} here"
    ending = f"-{pictures.name}{'-full' if full else ''}{'' if test else '-validation'}"
    folder = out / f"evaluate-{'-and-'.join(m.name for m in models)[:80]}{ending}"
    with new_folder(folder) as unfinished:
        if full or len(models) > 1:
            _leave_report(unfinished, models, suites, pictures, parts, remark)
        else:
            _leave_short_report(unfinished, models[0], suites[models[0].name], pictures, remark)
    _print(models, suites, remark, folder, as_json)


def _ask(model: Asked, pictures: LabelledImages, parts: Sequence[Part]) -> Suite:
    title = f"{model.name}: {len(parts)} sets of pictures"
    with show.watched(model.classifier, title, len(parts) * len(pictures)) as watched:
        return Suite(evaluate(watched, shown(pictures, parts)))


def _in_brief(suite: Suite) -> str:
    three = suite.mean_of_the_three
    told = [f"clean {percent(suite.clean.score.accuracy)}"]
    told += [f"mean of the three {percent(three)}"] if three is not None else []
    return ", ".join(told + ([f"mean of the suite {percent(suite.mean)}"] if suite.is_full else []))


def _leave_short_report(folder: Path, model: Asked, suite: Suite, pictures: LabelledImages, remark: str) -> None:
    machine = environment(model.machine)
    write_scores(folder, suite.scores)
    write_json(folder / "environment.json", machine)
    shown_parts = [part.of(pictures) for part in the_parts_of()]
    page_of_three.write_report(
        folder,
        title=f"{model.name} on {pictures.name}",
        conditions=f"The classifier {model.name}, {remark}. {model.how}".strip(),
        seen=model.seen,
        scores=suite.scores,
        plates=page_of_three.answers(suite.scores, shown_parts),
        facts={"settings": model.facts, "machine": machine},
    )


def _leave_report(
    folder: Path,
    models: Sequence[Asked],
    suites: dict[str, Suite],
    pictures: LabelledImages,
    parts: Sequence[Part],
    remark: str,
) -> None:
    rivals = grouped(suites, {model.name: model.recipe for model in models}.__getitem__)
    told = verdicts(rivals)
    by_name = {model.name: model for model in models}
    trusts = {rival.name: by_family(rival.seeds[0]) for rival in rivals}
    refused = {rival.name: _refusals(by_name[rival.name], rival.seeds[0], pictures) for rival in rivals}
    errors = {rival.name: rival.seeds[0].corruption_error(read_baseline()) for rival in rivals}
    write_json(folder / "scores.json", _as_json(rivals, told, trusts, refused, errors))
    machine = environment(models[0].machine)
    write_json(folder / "environment.json", machine)
    page.write_report(
        folder,
        title=f"{', '.join(rival.name for rival in rivals)} on {pictures.name}",
        conditions=f"{len(models)} network{'s' * (len(models) > 1)}, {remark}.",
        seen=" ".join(f"{model.name}: {model.seen}" for model in models) if len(models) > 1 else models[0].seen,
        models=rivals,
        verdicts=told,
        trust=trusts,
        refusals=refused,
        data=pictures,
        parts=parts,
        corruption_error=errors,
        asked={model.name: model.how for model in models if model.how},
        disputed=_disputed(rivals),
        facts={**{model.name: model.facts for model in models if model.facts}, "machine": machine},
    )


def _refusals(model: Asked, suite: Suite, pictures: LabelledImages) -> list[Refusal]:
    _, channels, height, width = pictures.pixels.shape
    return refusals(model.classifier, suite, channels, height, width, model.threshold, PICTURES_OF_NOTHING)


def _disputed(rivals: Sequence[Model]) -> dict[str, tuple[float, float]]:
    """Clean accuracy with and without the disputed labels, where these are MNIST's test pictures."""
    found = {}
    for rival in rivals:
        clean = rival.seeds[0].clean
        if is_mnist_test(clean.truths):
            right = clean.said == clean.truths
            found[rival.name] = (float(right.mean()), float(right[without_disputed(clean.truths)].mean()))
    return found


def _as_json(
    rivals: Sequence[Model],
    told: Sequence[Verdict],
    trusts: dict[str, list[Trust]],
    refused: dict[str, list[Refusal]],
    errors: dict[str, dict[str, float]],
) -> dict[str, Any]:
    return {
        "models": [
            {
                "name": rival.name,
                "mean": rival.mean,
                "mean_error": 1 - rival.mean,
                "spread_over_seeds": rival.spread,
                "corruption_error": errors[rival.name],
                "mean_corruption_error": float(np.mean(list(errors[rival.name].values())))
                if errors[rival.name]
                else None,
                "seeds": [_suite_as_json(suite) for suite in rival.seeds],
                "trust": [asdict(each) for each in trusts[rival.name]],
                "refusals": [asdict(each) for each in refused[rival.name]],
            }
            for rival in rivals
        ],
        "verdicts": [
            {"sentence": v.sentence, "first": v.first, "second": v.second, "p": v.p, **asdict(v.difference)}
            for v in told
        ],
    }


def _suite_as_json(suite: Suite) -> dict[str, Any]:
    return {
        "mean": suite.mean,
        "mean_interval": suite.mean_interval,
        "clean": suite.clean.score.accuracy,
        "mean_of_the_three": suite.mean_of_the_three,
        "mean_of_mnist_c": suite.mean_of_mnist_c,
        "worst": suite.worst,
        "alterations": [asdict(row) | {"accuracy": row.accuracy} for row in suite.rows],
        **{key: value for key, value in suite.scores.to_json().items() if key in ("classes", "parts")},
    }


def _print(models: Sequence[Asked], suites: dict[str, Suite], remark: str, folder: Path, as_json: bool) -> None:
    first = suites[models[0].name]
    if len(models) == 1 and not first.is_full:
        show.result(first.scores, f"{remark}{f'; {models[0].how}' if models[0].how else ''}", folder, as_json)
        return
    if as_json:
        told = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
        click.echo(json.dumps(told | {"folder": str(folder)}, ensure_ascii=False))
        return
    if len(models) == 1:
        rows = [(row.name, percent(row.accuracy), percent(min(row.accuracies))) for row in first.rows]
        show.table(("alteration", "mean", "at worst"), rows, ("mean of the suite", percent(first.mean), ""))
    else:
        several = [(model.name, _in_brief(suites[model.name])) for model in models]
        show.table(("model", "result"), several)
        for verdict in verdicts(grouped(suites, {model.name: model.recipe for model in models}.__getitem__)):
            click.echo(verdict.sentence)
    for model in models:
        if model.how:
            click.echo(f"{model.name}: {model.how}")
    click.echo(_in_brief(first) if len(models) == 1 else "")
    click.echo(remark)
    click.echo(f"report: {folder / 'report.html'}")

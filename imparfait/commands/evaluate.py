"""`imparfait evaluate`: a classifier on a data set's test pictures."""

import json
from pathlib import Path

import click

from imparfait.commands import options, show
from imparfait.errors import UserError, lookup


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@options.data
@options.size
@options.device
@options.out
@options.as_json
def evaluate(model: Path, data: str, size: int | None, device: str, out: Path, as_json: bool) -> None:
    """Score MODEL, a run folder, on the test pictures: as they are, and altered (others say corrupted).

    The test is opened for it, which is written into the ledger in --out; the result gets a folder with a report.
    """
    from imparfait.classifiers import config_of, load_classifier, machine_of
    from imparfait.commands.opening import score_test
    from imparfait.datasets.mixtures import MIXTURES, seen_in_training
    from imparfait.machine import environment
    from imparfait.report import run as report
    from imparfait.runs import write_scores
    from imparfait.store import new_folder, write_json

    classifier = load_classifier(model, device)
    settings = json.loads((model / "settings.json").read_text(encoding="utf-8"))
    dataset = show.loaded(data, size)
    classes, theirs = config_of(model)["classes"], list(dataset.train.classes)
    if classes != theirs:
        came, wanted = ", ".join(theirs), ", ".join(classes)
        raise UserError(f"--data {data} has the classes {came}; {model} was trained on {wanted}")
    test = dataset.test
    folder = out / f"evaluate-{model.resolve().name}-{test.name}"
    with new_folder(folder) as unfinished:
        scores, parts, remark = score_test(classifier, test, out, settings["hash"])
        write_scores(unfinished, scores)
        machine = environment(machine_of(model, device))
        write_json(unfinished / "environment.json", machine)
        report.write_report(
            unfinished,
            title=f"{model.resolve().name} on {test.name}",
            conditions=f"The classifier {model.resolve().name} on the test pictures of {test.name}; {remark}.",
            seen=seen_in_training(lookup("mixture", settings["settings"]["mixture"], MIXTURES)),
            scores=scores,
            plates=report.answers(scores, parts),
            facts={"settings": settings["settings"], "machine": machine},
        )
    show.result(scores, remark, folder, as_json)

"""`imparfait study`: the founding study from beginning to end, and whether its claims come out again."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from imparfait.cli import console, options
from imparfait.core.errors import UserError, lookup

if TYPE_CHECKING:
    from imparfait.study.claims import Study
    from imparfait.study.plan import Stage

PLAN = "study.plan.json"


@click.command()
@click.option("--quick", is_flag=True, help="The same path on few images, in under 3 minutes; its numbers say nothing.")
@click.option(
    "--larger", is_flag=True, help="More seeds, epochs and trials, and cnn_gru on the balanced augmentation: days."
)
@click.option("--stages", is_flag=True, help="Print the stages and how long each takes, and end.")
@click.option("--stage", metavar="NAME", help="Do this stage only, and end.")
@options.executor
@options.out
@options.as_json
def study(
    quick: bool,
    larger: bool,
    stages: bool,
    stage: str | None,
    executor: str | None,
    address: str | None,
    threads: int,
    out: Path,
    as_json: bool,
) -> None:
    """Do the founding study again: a CNN against a CNN with a GRU behind it, on digits as they are and corrupted.

    Searches settings for both, compares them and what leaves something out of them by cross-validation, trains them
    at length on each augmentation, opens the test images once for each final network, and says of each of the study's
    claims whether it is reproduced. --quick leaves the test images sealed.
    Ctrl-C keeps what is finished: the same command goes on from there.
    """
    if quick and larger:
        raise UserError("--quick and --larger say different things; leave one out")
    if threads != 1:
        raise UserError(f"--threads {threads}: the study's jobs have one thread each; leave it out")
    from imparfait.cli import study_stages
    from imparfait.core.storage import atomic_directory
    from imparfait.selection.executors import executor_named
    from imparfait.study.report import write_study
    from imparfait.study.scales import SCALES

    name = "quick" if quick else "larger" if larger else "full"
    scale, runs_on = SCALES[name], executor_named(executor, address, 1)
    sitting = study_stages.StudyRun(name, scale, runs_on, out)
    planned = sitting.planned(out / f"{name}.{PLAN}")
    listed = planned.stages(scale, len(sitting.fit))
    if stages:
        _print_stages(listed, planned.seconds(listed), runs_on.at_once)
        return
    if stage:
        sitting.only(lookup("stage", stage, {each.name: each for each in listed}).name)
        click.echo(f"{stage}: done", err=True)
        return
    _print_stages(listed, planned.seconds(listed), runs_on.at_once)
    found = sitting.through()
    folder = out / ("study" if name == "full" else f"study-{name}")
    with atomic_directory(folder) as unfinished:
        write_study(unfinished, folder.name, found, sitting.pool, sitting.kept)
        exported = study_stages.export_keras(found, unfinished / "model" / "mon_model.keras")
    _print(found, exported, folder, as_json)


def _print_stages(stages: "Sequence[Stage]", seconds: float, at_once: int) -> None:
    from imparfait.selection.plan import told

    together = f"{at_once} job{'s' * (at_once > 1)} at once"
    click.echo(f"by measured images/s, {together}; what is finished already takes no time again:", err=True)
    for stage in stages:
        jobs = f"{stage.jobs} job{'s' * (stage.jobs > 1)}"
        click.echo(f"  {stage.name:36}{jobs:>10}{told(stage.seconds):>10}", err=True)
    click.echo(f"  {'in all':46}{told(seconds):>10}", err=True)


def _print(found: "Study", exported: str, folder: Path, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(found.to_json() | {"folder": str(folder)}, ensure_ascii=False))
        return
    from imparfait.evaluation.scores import percent

    console.table(
        ("final network", "clean", "geometric", "shrunk", "mean", "training"),
        [
            (
                final.name,
                *(percent(final.accuracy(part)) for part in final.confusion),
                percent(final.mean),
                f"{final.seconds:,.0f} s",
            )
            for final in found.finals.values()
        ],
    )
    console.table(("claim", "here"), [(claim.says, claim.outcome) for claim in found.claims()])
    for line in (*found.sentences(), exported, f"report: {folder / 'report.html'}"):
        click.echo(line)

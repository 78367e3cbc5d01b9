"""`imparfait study`: the founding study from beginning to end, and which of its claims are reproduced."""

from pathlib import Path

import click

from imparfait.cli import console, options
from imparfait.core.errors import UserError, lookup


@click.command()
@click.option("--quick", is_flag=True, help="Every stage on few images, in under 3 minutes; the numbers mean nothing.")
@click.option("--larger", is_flag=True, help="More seeds, epochs and trials, and one more final network: days.")
@click.option("--stages", is_flag=True, help="Print the stages and their predicted duration, then exit.")
@click.option("--stage", metavar="NAME", help="Run only this stage, then exit.")
@options.executor
@options.out
@options.as_json
def study(
    quick: bool, larger: bool, stages: bool, stage: str | None, executor: str | None, address: str | None, threads: int,
    out: Path, as_json: bool,
) -> None:  # fmt: skip
    """Repeat the founding study: a CNN against a CNN followed by a GRU, on clean and on corrupted digits.

    Searches settings for both, compares them and their ablations by cross-validation, trains the final networks on each
    augmentation, evaluates each on the test set once, and compares the outcome with each claim of the study. With
    --quick the test images stay sealed. Ctrl-C keeps what is finished; the same command continues.
    """
    if quick and larger:
        raise UserError("--quick and --larger name different scales", hint="leave one out")
    if threads != 1:
        raise UserError(f"--threads {threads}", expected="1: each job of the study has one thread", hint="leave it out")
    from imparfait.selection.executors import executor_named
    from imparfait.study.plan import stage_names
    from imparfait.study.scales import SCALES

    scale = "quick" if quick else "larger" if larger else "full"
    if stage:
        lookup("stage", stage, dict.fromkeys(stage_names(SCALES[scale])))  # before anything is measured
    runs_on = executor_named(executor, address, 1)
    from imparfait.cli.study_stages import run_stage, train_in_parallel
    from imparfait.study.report import study_json, write_study
    from imparfait.study.run import StudyRun
    from imparfait.study.text import claim_rows, final_rows, stage_lines, summary

    dataset = console.loaded("mnist")
    click.echo("planning: the throughput of each network is measured", err=True)
    run = StudyRun(scale, dataset, runs_on, out)
    if stage:
        run_stage(run, next(one for one in run.stages if one.name == stage))
        click.echo(f"{stage}: done", err=True)
        return
    click.echo("\n".join(stage_lines(run.plan, run.stages)), err=True)
    if stages:
        return
    for one in run.stages:
        if one.kind != "final":
            run_stage(run, one)
    train_in_parallel(run, scale)
    result, folder = run.result, out / ("study" if scale == "full" else f"study-{scale}")
    exported = write_study(folder, folder.name, result, run.data, run.held_out)
    if as_json:
        console.print_json(study_json(result), folder)
        return
    console.table(("final network", "clean", "geometric", "shrunk", "core mean", "training"), final_rows(result))
    console.table(("claim", "outcome"), [row[:2] for row in claim_rows(result)])
    click.echo("\n".join([*summary(result), exported, f"report: {folder / 'report.html'}"]))

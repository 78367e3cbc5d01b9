"""`imparfait study`: the founding study from beginning to end, and which of its claims are reproduced."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from imparfait.cli import console, names, options, parameters
from imparfait.cli.checks import check_out
from imparfait.core.errors import UserError

if TYPE_CHECKING:
    from imparfait.data.load import Dataset
    from imparfait.reports.translation import Language
    from imparfait.selection.executors import Executor

PLANNING = "planning: the throughput of each network is measured"
FINAL_HEADINGS = ("final network", "clean", "geometric", "shrunk", "core mean", "training")

TITLES = {
    "full": "The founding study, repeated",
    "larger": "The founding study, repeated on more seeds and epochs",
}


@click.command()
@click.option(
    "--quick",
    is_flag=True,
    help="Only the main comparison, in minutes: training with and without corrupted digits.",
)
@click.option("--larger", is_flag=True, help="More seeds, epochs and trials, and one more final network: days.")
@click.option("--stages", is_flag=True, help="Print the stages and their predicted duration, then exit.")
@click.option(
    "--stage",
    metavar="NAME",
    shell_complete=parameters.values_of(names.LARGER_STAGES),
    help="Run only this stage, then exit.",
)
@options.executor
@options.out
@options.language
@options.as_json
def study(
    quick: bool, larger: bool, stages: bool, stage: str | None, executor: str | None, address: str | None, threads: int,
    out: Path, language: "Language", as_json: bool,
) -> None:  # fmt: skip
    """Repeat the founding study: a CNN against a CNN followed by a GRU, on clean and on corrupted digits.

    Searches settings for both, compares them and their ablations by cross-validation, trains the final networks on each
    augmentation, evaluates each on the test set once, and compares the outcome with each claim of the study. --quick
    trains two networks and shows how both classify corrupted digits; it decides no claim, and the test set stays
    sealed. Ctrl-C keeps what is finished; the same command continues.
    """
    if quick and larger:
        raise UserError("--quick and --larger name different scales", hint="leave one out")
    if threads != 1:
        raise UserError(f"--threads {threads}", expected="1: each job of the study has one thread", hint="leave it out")
    scale = "quick" if quick else "larger" if larger else "full"
    known = names.QUICK_STAGES if quick else names.LARGER_STAGES if larger else names.STAGES
    names.check_name("stage", stage, known)  # before anything is measured
    check_out(out)
    from imparfait.selection.executors import executor_named

    runs_on = executor_named(executor, address, 1)
    dataset = console.loaded("mnist")
    if quick:
        _quick(dataset, runs_on.workers, stages, stage, out, language, as_json)
    else:
        _whole(scale, dataset, runs_on, stages, stage, out, language, as_json)


def _quick(
    dataset: "Dataset", workers: int, stages: bool, stage: str | None, out: Path, language: "Language", as_json: bool
) -> None:
    from imparfait.cli.study_stages import train, train_in_parallel
    from imparfait.study.quick import QuickRun
    from imparfait.study.quick_report import quick_json, write_quick_study
    from imparfait.study.quick_text import conditions_sentence, quick_plan_lines, quick_summary
    from imparfait.study.text import final_rows

    run = QuickRun(dataset, out, workers)
    if stage:
        train(run.finals, stage.removeprefix("final "))
        click.echo(f"{stage}: done", err=True)
        return
    click.echo(PLANNING, err=True)
    planned = run.stages()
    click.echo("\n".join(quick_plan_lines(run, planned)), err=True)
    if stages:
        return
    train_in_parallel(run.finals, planned, "quick", workers)
    result, folder = run.result, out / "study-quick"
    with console.bar("drawing the report", None):
        write_quick_study(folder, "The point of the founding study", result, run.finals.held_out, language)
    if as_json:
        console.print_json(quick_json(result), folder)
        return
    console.table(FINAL_HEADINGS, final_rows(result.finals))
    click.echo("\n".join([*quick_summary(result), conditions_sentence(result), f"report: {folder / 'report.html'}"]))


def _whole(
    scale: str,
    dataset: "Dataset",
    executor: "Executor",
    stages: bool,
    stage: str | None,
    out: Path,
    language: "Language",
    as_json: bool,
) -> None:
    from imparfait.cli.study_stages import train, train_in_parallel
    from imparfait.study.report import study_json, write_study
    from imparfait.study.run import StudyRun
    from imparfait.study.text import claim_rows, final_rows, stage_lines, summary

    click.echo(PLANNING, err=True)
    run = StudyRun(scale, dataset, executor, out)
    if stage:
        only = next(one for one in run.stages if one.name == stage)
        if only.kind == "final":
            train(run.finals, only.network)
        else:
            console.run_jobs(run.run(only), only.name)
        click.echo(f"{stage}: done", err=True)
        return
    click.echo("\n".join(stage_lines(run.plan, run.stages)), err=True)
    if stages:
        return
    for one in run.stages:
        if one.kind != "final":
            console.run_jobs(run.run(one), one.name)
    train_in_parallel(run.finals, [one for one in run.stages if one.kind == "final"], scale, executor.workers)
    result, folder = run.result, out / ("study" if scale == "full" else f"study-{scale}")
    with console.bar("drawing the report", None):
        exported = write_study(folder, TITLES[scale], result, run.data, run.finals.held_out, language)
    if as_json:
        console.print_json(study_json(result), folder)
        return
    console.table(FINAL_HEADINGS, final_rows(result.finals))
    console.table(("claim", "outcome"), [row[:2] for row in claim_rows(result)])
    click.echo("\n".join([*summary(result), exported, f"report: {folder / 'report.html'}"]))

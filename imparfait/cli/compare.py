"""`imparfait compare`: which of several is better, by cross-validation and one test."""

import contextlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from imparfait.cli import console, options
from imparfait.core.errors import UserError

if TYPE_CHECKING:
    from imparfait.selection.comparison import Comparison
    from imparfait.selection.plan import Plan

PLAN = "plan.json"


@click.command()
@click.argument("names", metavar="CONTENDER...", nargs=-1)
@options.data
@options.size
@click.option("--folds", type=click.IntRange(2), default=5, show_default=True, help="Each is held out once a seed.")
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True, help="Each divides the images anew.")
@click.option(
    "--epochs", type=click.IntRange(1), help="For all of them.  [default: the fewest that one has of its own]"
)
@click.option("--seconds", type=click.FloatRange(1), help="Instead: the whole epochs that come nearest to so long.")
@click.option("--images", type=click.IntRange(20), help="Use about so many training images.  [default: all]")
@click.option(
    "--suite", type=click.Choice(["three", "full"]), default="three", show_default=True,
    help="What a fold is judged on. three: clean, geometric, shrunk; full: every corruption at every severity.",
)  # fmt: skip
@click.option("--minutes", type=click.FloatRange(0, min_open=True), help="Shrink the plan to take about so long.")
@options.executor
@options.out
@click.option(
    "--final", is_flag=True, help="Then fit the best on the training images, none held out, and open the test once."
)
@options.as_json
def compare(
    names: tuple[str, ...],
    data: str,
    size: int | None,
    folds: int,
    seeds: int,
    epochs: int | None,
    seconds: float | None,
    images: int | None,
    suite: str,
    minutes: float | None,
    executor: str | None,
    address: str | None,
    threads: int,
    out: Path,
    final: bool,
    as_json: bool,
) -> None:
    """Compare CONTENDERs: recipes, models (each with its own recipe) or TOML files of settings.

    Each is trained on all training images but one fold and judged on that fold, clean and corrupted; every seed
    divides the images anew, and all contenders get the same ones. The test images stay sealed.
    Ctrl-C keeps what is finished: the same command goes on from there.
    """
    if epochs and seconds:
        raise UserError("--epochs and --seconds both say how long to train; leave one out")
    from imparfait.selection.candidates import candidates

    given = candidates(names)  # what can be refused is, before the rest is imported
    from imparfait.selection.executors import executor_named

    runs_on = executor_named(executor, address, threads)
    from imparfait.cli.choosing import alone, jobs_bar, run_shown
    from imparfait.cli.train import train_and_prove
    from imparfait.core.storage import atomic_directory, fingerprint
    from imparfait.data.splits import split_calibration
    from imparfait.evaluation.suite import conditions_from, full_suite
    from imparfait.models.custom import custom_fingerprint
    from imparfait.reports.comparison import write_comparison
    from imparfait.selection.comparison import Comparison
    from imparfait.selection.plan import plan
    from imparfait.training import run as runs

    dataset = console.loaded(data, size)
    test = dataset.test if final else None  # a data set without one is refused before anything is trained
    pool = dataset.everything()
    fit = min(images or len(pool), len(pool)) * (folds - 1) // folds
    kept = {"epochs"} if epochs or seconds else set()
    given = [
        replace(each, settings=console.long_enough(each.settings, fit, each.fixed | kept, each.name)) for each in given
    ]
    parts = full_suite() if suite == "full" else conditions_from()
    corruptions = [(part.corruption, part.severity) for part in parts]
    asked = repr([folds, seeds, epochs, seconds, images, minutes, threads, corruptions])
    networks = [custom_fingerprint(each.settings.model) for each in given]
    mark = fingerprint(pool.fingerprint(), asked, *networks, *(each.settings for each in given))
    names_of_all = "-".join(each.name for each in given)
    folder = out / f"compare-{names_of_all}{'-full' if suite == 'full' else ''}-{mark[:6]}"
    with alone(out, "choosing"):
        planned = _planned(
            folder,
            lambda: plan(
                given,
                pool,
                folds=folds,
                seeds=seeds,
                epochs=epochs,
                seconds=seconds,
                images=images,
                minutes=minutes,
                threads=threads,
                at_once=runs_on.at_once,
                corruptions=corruptions,
            ),
        )
        click.echo(planned, err=True)
        for loss in planned.lost:
            click.echo(f"to take about {minutes:g} min: {loss}", err=True)
        places = planned.places()
        jobs = [planned.job(*place) for place in places]
        expected = [planned.job_seconds(entry) for entry, _, _ in places]
        with jobs_bar("comparing", sum(expected)) as note:
            outcomes = run_shown(jobs, pool, out, runs_on, note, expected)
        found = {(e.name, seed, fold): outcome for (e, seed, fold), outcome in zip(places, outcomes, strict=True)}
        comparison = Comparison(planned, pool.classes, found)
        with atomic_directory(folder) as unfinished:
            (unfinished / PLAN).write_text(planned.model_dump_json(indent=2), encoding="utf-8")
            write_comparison(unfinished, folder.name, comparison, pool)
        _plan_under_way(folder).unlink(missing_ok=True)
    best = comparison.ranked[0]
    if as_json:
        click.echo(json.dumps(comparison.to_json() | {"folder": str(folder)}, ensure_ascii=False))
    else:
        _print(comparison, folder)
    if not comparison.finished(best):
        raise UserError("no job of any contender finished, so nothing can be said of them; the causes are above")
    if test:
        for verdict in comparison.verdicts:
            if verdict.names[0] == best.name and not verdict.shown:
                click.echo(f"{best.name} has the highest mean, and is not shown to be better than {verdict.names[1]}")
        fitted_on, calibration = split_calibration(pool)
        run, model = runs.start(best.name, best.settings, fitted_on, final=True)
        train_and_prove(run, model, None, test, out, as_json, calibration)
    elif dataset.sealed:
        console.next_step(options.again("--final"), f"fit {best.name} with no fold held out, then open the test once")


def _planned(folder: Path, make: "Callable[[], Plan]") -> "Plan":
    """The plan of a comparison begun or finished earlier, so that it goes on as it was; else a new one."""
    from pydantic import ValidationError

    from imparfait.core.storage import atomic_write
    from imparfait.selection.plan import Plan

    for path in (folder / PLAN, _plan_under_way(folder)):
        with contextlib.suppress(FileNotFoundError, ValidationError):  # another version's plan is made anew
            return Plan.model_validate_json(path.read_bytes())
    click.echo("measuring what each can do, in turn", err=True)
    made = make()
    atomic_write(_plan_under_way(folder), made.model_dump_json(indent=2).encode())
    return made


def _plan_under_way(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.{PLAN}")


def _print(comparison: "Comparison", folder: Path) -> None:
    console.table(comparison.headings, comparison.rows())
    for line in comparison.remarks():
        click.echo(line)
    for verdict in comparison.verdicts:
        click.echo(verdict)
    click.echo(f"report: {folder / 'report.html'}")

"""`imparfait compare`: which of several candidates is better, by cross-validation."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from imparfait.cli import console, options, parameters
from imparfait.cli.checks import check_candidates, check_out
from imparfait.core.errors import UserError

if TYPE_CHECKING:
    from imparfait.data.images.input_format import Normalization
    from imparfait.reports.translation import Language


@click.command()
@click.argument("names", metavar="CANDIDATE...", nargs=-1, shell_complete=parameters.candidates)
@options.data
@options.group
@click.option(
    "--folds", type=options.NumberOr("groups", 2), metavar="N|groups", default=5, show_default=True,
    help="Cross-validation folds per seed; groups: hold out one group at a time.",
)  # fmt: skip
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True, help="Repetitions, each on new splits.")
@click.option("--epochs", type=click.IntRange(1), help="Epochs of each candidate.  [default: the fewest of any]")
@click.option("--seconds", type=click.FloatRange(1), help="Train each for about this many seconds, in whole epochs.")
@options.images
@click.option(
    "--suite", type=parameters.SUITE, default="core", show_default=True,
    help="What folds are evaluated on. core: clean, geometric, shrunk; digits or photo: every corruption of digits or "
    "of photographs, at every severity.",
)  # fmt: skip
@click.option("--minutes", type=click.FloatRange(0, min_open=True), help="Time budget, to which the plan is reduced.")
@options.executor
@options.out
@click.option(
    "--truth", type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="TABLE",
    help="Of two tables of predictions: image_path and label.  [default: their column truth]",
)  # fmt: skip
@click.option("--final", is_flag=True, help="Then train the best on all training images; evaluate it on the test set.")
@options.language
@options.as_json
def compare(
    names: tuple[str, ...], data: str, size: int | None, normalize: "Normalization | None",
    group: str | None, skip_unreadable: bool, folds: "int | Literal['groups']", seeds: int,
    epochs: int | None, seconds: float | None, images: int | None, suite: str, minutes: float | None,
    executor: str | None, address: str | None, threads: int, out: Path, truth: Path | None, final: bool,
    language: "Language", as_json: bool,
) -> None:  # fmt: skip
    """Compare CANDIDATEs: recipes, models (each with its own recipe) or TOML files of settings.

    Each is trained on all training images but one fold and evaluated on that fold, clean and corrupted, with a new
    random split per seed. The test images stay sealed. Ctrl-C keeps finished jobs; the same command continues.

    Two CSV files of predictions, of any tool, are compared file by file: columns file and label or p_<class>, and
    truth or --truth. Options of a training are refused then.
    """
    from imparfait.evaluation.prediction_files import is_predictions
    from imparfait.selection.executors import executor_named

    if any(map(is_predictions, names)):
        options.refuse_typed("two tables of predictions", but=("names", "truth", "as_json"))
        compare_files(names, truth, as_json)
        return
    if truth:
        raise UserError(
            f"--truth {truth} with {', '.join(names)}",
            expected="two tables of predictions with it",
            hint="leave it out",
        )
    check_candidates(names)
    check_out(out)
    runs_on = executor_named(executor, address, threads)
    from imparfait.selection.candidates import candidates_from

    candidates = candidates_from(names)  # what can be refused is, before the rest is imported
    from imparfait.cli.runs import train_and_report
    from imparfait.reports import comparison_text as text
    from imparfait.reports.comparison import comparison_json, write_comparison
    from imparfait.selection import cross_validation
    from imparfait.selection.job_runner import JOBS_FOLDER
    from imparfait.training.run import prepare_run

    dataset = console.loaded(data, size, normalize, skip_unreadable=skip_unreadable, group=group)
    test = dataset.test if final else None  # a data set without one is refused before anything is trained
    click.echo("planning: the throughput of each candidate is measured", err=True)
    run = cross_validation.compare(
        candidates, dataset.train_and_val(), folds=folds, seeds=seeds, epochs=epochs, seconds=seconds, images=images,
        suite=suite, minutes=minutes, executor=runs_on, threads=threads, store=out / JOBS_FOLDER,
    )  # fmt: skip
    click.echo("\n".join(text.plan_lines(run.plan)), err=True)
    folder = out / run.name

    def report() -> None:
        title = f"Comparison: {', '.join(run.result.ranked)} on {run.data.name}"
        write_comparison(folder, title, run.result, run.data, language)

    console.run_jobs(run, "comparing", report=report)
    comparison = run.result
    if as_json:
        console.print_json(comparison_json(comparison), folder)
    else:
        console.table(text.comparison_headings(comparison), text.comparison_rows(comparison))
        click.echo("\n".join([*text.comparison_sentences(comparison), f"report: {folder / 'report.html'}"]))
    best = comparison.ranked[0]
    if comparison.mean(best) is None:
        raise UserError("no job of any candidate finished; the causes are above")
    if final:
        settings = comparison.plan.profile(best).settings
        final_run, model = prepare_run(dataset, settings, best, final=True, fixed=("epochs", "batch_size"))
        train_and_report(final_run, model, test, out, as_json, language=language)
    elif dataset.sealed:
        console.next_step(options.again("--final"), "train the best on all images, then evaluate it on the test set")


def compare_files(names: tuple[str, ...], truth: Path | None, as_json: bool) -> None:
    """Print which of two models is better by their predictions for the same files."""
    from imparfait.evaluation.paired_predictions import compare_predictions
    from imparfait.evaluation.prediction_files import is_predictions, read_predictions, read_truths
    from imparfait.reports.paired_text import paired_json, paired_sentences, paired_table

    if len(names) != 2 or not all(map(is_predictions, names)):
        raise UserError(
            f"{', '.join(names)}",
            expected="two tables of predictions",
            hint="write, for example: imparfait compare a.csv b.csv --truth labels.csv",
        )
    truths, groups = read_truths(truth) if truth else (None, None)
    first, second = (read_predictions(Path(name)) for name in names)
    comparison = compare_predictions(first, second, truths, groups)
    if as_json:
        click.echo(json.dumps(paired_json(comparison), ensure_ascii=False))
        return
    console.table(*paired_table(comparison))
    for line in paired_sentences(comparison):
        click.echo(console.plain(line))

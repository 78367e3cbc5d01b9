"""`imparfait search`: better settings for a network, and their accuracy on splits that no trial used."""

import shlex
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
@click.argument("model", shell_complete=parameters.candidates)
@click.option(
    "--method", "methods", type=parameters.METHOD, multiple=True, default=("bayes",), show_default=True,
    metavar="METHOD", help="random or bayes; repeat the option to run both, at equal cost.",
)  # fmt: skip
@click.option("--trials", type=click.IntRange(1), default=40, show_default=True, help="Trials per search.")
@click.option("--minutes", type=click.FloatRange(0, min_open=True), help="Time budget; no new trials start after it.")
@click.option("--repeats", type=click.IntRange(1), default=1, show_default=True, help="Searches per method.")
@click.option("--space", type=click.Path(path_type=Path), help="TOML file of settings to vary, with their ranges.")
@options.data
@options.group
@click.option("--epochs", type=click.IntRange(1), help="Epochs per trial.  [default: the recipe's]")
@options.images
@click.option(
    "--folds", type=options.NumberOr("groups", 2), metavar="N|groups", default=5, show_default=True,
    help="Folds; a trial holds out one. groups: hold out one group at a time.",
)  # fmt: skip
@options.executor
@options.out
@options.language
@options.as_json
def search(
    model: str, methods: tuple[str, ...], trials: int, minutes: float | None, repeats: int, space: Path | None,
    data: str, size: int | None, normalize: "Normalization | None",
    group: str | None, skip_unreadable: bool, epochs: int | None, images: int | None, folds: "int | Literal['groups']",
    executor: str | None, address: str | None, threads: int, out: Path, language: "Language",
    as_json: bool,
) -> None:  # fmt: skip
    """Search settings and model arguments for MODEL: a model, a recipe or a TOML file of settings to start from.

    Trials are evaluated on a held-out fold, clean and corrupted; the leading ones on further folds; the winner again on
    splits that no trial used, and only that accuracy is reported. The test images stay sealed.
    Ctrl-C keeps finished jobs; the same command continues, with the same proposals.
    """
    from imparfait.training.settings import read_toml

    check_candidates([model], least=1)
    if space:
        read_toml(space)
    check_out(out)
    from imparfait.selection.executors import executor_named

    runs_on = executor_named(executor, address, threads)
    from imparfait.selection.candidates import candidate_named

    start = candidate_named(model)  # what can be refused is, before the rest is imported
    from imparfait.selection import search
    from imparfait.selection.search_space import read_space

    if space:
        read_space(space, start.settings)
    from imparfait.reports import comparison_text as text
    from imparfait.reports.search import BEST, search_json, write_search
    from imparfait.selection.job_runner import JOBS_FOLDER

    dataset = console.loaded(data, size, normalize, skip_unreadable=skip_unreadable, group=group)
    run = search.search(
        start, dataset.train_and_val(), methods=methods, trials=trials, minutes=minutes,
        repeats=repeats, space=space, epochs=epochs, images=images, folds=folds, executor=runs_on, threads=threads,
        store=out / JOBS_FOLDER,
    )  # fmt: skip
    click.echo(text.search_plan(run), err=True)
    folder = out / run.name

    def report() -> None:
        write_search(folder, f"Hyperparameter search: {run.result.name}", run.result, language)

    console.run_jobs(run, "searching", lambda: text.best_so_far(run), report=report)
    result = run.result
    if as_json:
        console.print_json(search_json(result), folder)
    else:
        console.table(text.search_headings(result), text.search_rows(result))
        click.echo("\n".join([*text.search_sentences(result), f"report: {folder / 'report.html'}"]))
    if not result.best:
        raise UserError(f"no trial finished; the first one's cause: {result.trial_causes[0]}")
    words = ["imparfait", "train", "--settings", str(folder / BEST), *(["--data", data] if data != "mnist" else [])]
    words += [*(["--size", str(size)] if size else []), *(["--normalize", normalize] if normalize else [])]
    words += ["--group", group] if group else []
    words += ["--skip-unreadable"] if skip_unreadable else []
    console.next_step(shlex.join(words), "train with the settings found")

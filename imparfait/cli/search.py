"""`imparfait search`: better settings for a network, and how good they really are."""

import json
import math
import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from imparfait.cli import console, options
from imparfait.core.errors import UserError, lookup
from imparfait.core.storage import fingerprint
from imparfait.training.settings import changed

if TYPE_CHECKING:
    from imparfait.selection.search import Search
    from imparfait.selection.search_result import Finding

CONFIRMED = 2  # seeds, each with all its folds, of the winner's own accuracy
BEST = "best.toml"


@click.command()
@click.argument("model")
@click.argument("more", metavar="", nargs=-1)  # what `--method random bayes` leaves
@click.option(
    "--method", default="bayes", show_default=True, metavar="METHOD...",
    help="random or bayes; `--method random bayes` runs both, at equal cost.",
)  # fmt: skip
@click.option("--trials", type=click.IntRange(1), default=40, show_default=True, help="Of each search.")
@click.option("--minutes", type=click.FloatRange(0, min_open=True), help="Start no round of trials after so long.")
@click.option("--repeats", type=click.IntRange(1), default=1, show_default=True, help="Searches by each method.")
@click.option("--space", type=click.Path(path_type=Path), help="TOML file of what to vary.")
@options.data
@options.size
@click.option("--epochs", type=click.IntRange(1), help="Of each trial.  [default: the recipe's]")
@click.option("--images", type=click.IntRange(20), help="Use about so many training images.  [default: all]")
@click.option("--folds", type=click.IntRange(2), default=5, show_default=True, help="A trial holds out one of so many.")
@options.executor
@options.out
@options.as_json
def search(
    model: str,
    more: tuple[str, ...],
    method: str,
    trials: int,
    minutes: float | None,
    repeats: int,
    space: Path | None,
    data: str,
    size: int | None,
    epochs: int | None,
    images: int | None,
    folds: int,
    executor: str | None,
    address: str | None,
    threads: int,
    out: Path,
    as_json: bool,
) -> None:
    """Search settings and sizes for MODEL: a model, a recipe or a TOML file of settings to start from.

    Trials are judged on training images held out, clean and corrupted; the leading ones on further folds; the winner
    again where no trial was, and only that is called its accuracy. The test images stay sealed.
    Ctrl-C keeps what is finished: the same command goes on, and proposes what it would have without the stop.
    """
    from imparfait.selection.candidates import Candidate, candidate_named

    given = candidate_named(model)  # what can be refused is, before the rest is imported
    from imparfait.selection import search
    from imparfait.selection.search_space import read_space, space_of

    methods = tuple(dict.fromkeys([method, *more]))
    for name in methods:
        lookup("method", name, search.METHODS)
    if space:
        read_space(space, given.settings)  # only to refuse what cannot be
    from imparfait.selection.executors import executor_named

    runs_on = executor_named(executor, address, threads)
    from imparfait.cli.choosing import Note, alone, jobs_bar, run_shown
    from imparfait.core.storage import atomic_directory
    from imparfait.data.splits import fold, subsample
    from imparfait.reports.search import write_search
    from imparfait.selection.plan import crowded, told
    from imparfait.selection.profiling import measured
    from imparfait.selection.search_result import Finding

    dataset = console.loaded(data, size)
    pool = dataset.everything()
    part = subsample(pool, images)
    fit, held_out = fold(part, folds, 0, 0)
    start = changed(given.settings, {"epochs": epochs}) if epochs else given.settings
    start = console.long_enough(start, len(fit), given.fixed | ({"epochs"} if epochs else set()))
    varied, start = read_space(space, start) if space else (space_of(start), start)
    job_for = search.jobs_on(pool, images, folds, threads)
    asked = repr([methods, trials, minutes, repeats, folds, images, threads])
    mark = fingerprint(pool.fingerprint(), asked, start, *(f"{name} {values}" for name, values in varied.items()))
    folder = out / f"search-{given.name}-{'-'.join(methods)}-{mark[:6]}"
    searches = [search.Search(name, repeat, start, varied) for repeat in range(repeats) for name in methods]

    click.echo(f"{given.name}, varying {', '.join(varied)}", err=True)
    [entry] = measured([Candidate(given.name, start)], part, threads)
    each = entry.job_seconds(len(fit), len(held_out))
    expected = crowded(each * trials * len(searches), runs_on.at_once)
    cost = f"{len(searches) * trials} trials × about {each:.1f} s, {runs_on.at_once} at once: {told(expected)}"
    click.echo(f"{cost}, then {CONFIRMED * folds} jobs for each winner", err=True)
    with alone(out, "choosing"):

        def running(note: Note) -> search.RunJobs:
            return lambda jobs: run_shown(jobs, pool, out, runs_on, note, [each] * len(jobs))

        deadline = time.monotonic() + 60 * minutes if minutes else math.inf
        with jobs_bar("trials", each * trials * len(searches)) as note:

            def note_trials(more: float, told: str) -> None:
                note(more, _best_of(searches))

            def in_time() -> bool:
                return time.monotonic() < deadline

            for _ in search.run_trials(searches, trials, job_for, running(note_trials), in_time):
                pass
        places = search.fresh_places(CONFIRMED, folds)
        further = len(searches) * (search.LEADERS * (search.FOLDS - 1) + len(places)) + len(places)
        with jobs_bar("measuring what leads", each * further) as note:
            own = search.conclude(searches, folds, places, job_for, running(note))
        finding = Finding(given.name, start, varied, searches, own, len(fit), len(held_out))
        with atomic_directory(folder) as unfinished:
            write_search(unfinished, folder.name, finding, entry.compute)
    _print(finding, folder, as_json)
    if not finding.best:
        raise UserError(f"no trial finished; the first one's cause: {searches[0].trials[0].cause}")
    words = [] if data == "mnist" else ["--data", data]
    words += ["--size", str(size)] if size else []
    console.next_step(
        shlex.join(["imparfait", "train", "--settings", str(folder / BEST), *words]), "train what was found"
    )


def _best_of(searches: "Sequence[Search]") -> str:
    from imparfait.evaluation.scores import percent

    found = [trial.mean for search in searches for trial in search.trials if not trial.cause]
    done = len(searches[0].trials)
    return f"{done} of each told, the best so far {percent(max(found))}" if found else "the first round"


def _print(finding: "Finding", folder: Path, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(finding.to_json() | {"folder": str(folder)}, ensure_ascii=False))
        return
    console.table(finding.headings, finding.rows())
    for line in finding.lines():
        click.echo(line)
    click.echo(f"report: {folder / 'report.html'}")

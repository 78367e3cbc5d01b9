"""`imparfait drift`: what changed in the images that a server gets, from its log."""

import shlex
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from imparfait.cli import console, options, parameters
from imparfait.cli.checks import check_out
from imparfait.core.counts import counted
from imparfait.core.errors import UserError

if TYPE_CHECKING:
    from imparfait.evaluation.observations import Observations
    from imparfait.reports.translation import Language
    from imparfait.serving.logged_images import LogContent, LoggedImages

CHANGED_EXIT = 1
REPORT_NEEDS = ("matplotlib", "jinja2")
MAX_NAME = 40  # characters of the model's name in that of the report's folder


@click.command()
@click.argument("logs", nargs=-1, required=True, type=click.Path(path_type=Path, dir_okay=False), metavar="LOG...")
@click.option(
    "--reference", type=parameters.Model(), metavar="RUN|LOG",
    help="What to compare with: the run folder of the model, a model with --data, or an earlier log.  [default: the "
    "log before --since]",
)  # fmt: skip
@click.option(
    "--since", metavar="TIME", help="Only later predictions, such as 7d, 12h, 2026-11-30 or 2026-11-30T08:00 (UTC)."
)
@click.option(
    "--data", type=parameters.DATA, metavar="DATA",
    help="The data that the model was trained on, for a model without reference.json: its validation images are "
    "predicted again.",
)  # fmt: skip
@options.group
@click.option("--model", metavar="NAME", help="The model, if the log has several.  [default: the newest]")
@click.option("--fail", is_flag=True, help="Exit code 1 where something changed.")
@options.out
@options.language
@options.as_json
def drift(
    logs: tuple[Path, ...], reference: str | None, since: str | None, data: str | None, group: str | None,
    model: str | None, fail: bool, out: Path, language: "Language", as_json: bool,
) -> None:  # fmt: skip
    """Compare the images in a server's LOG with those that the model was trained for.

    The log is what `imparfait serve --log LOG` writes: statistics and predictions, never images. It may be in several
    files, plain or .gz. Each change is a sentence: darker, blurrier, smaller or moved images, other classes, more
    unsure predictions. A change counts where a test shows it, adjusted for all tests, and where it is large enough.
    """
    if not (reference or since):
        raise click.UsageError("nothing to compare with; write --reference RUN, or --since 7d for the log before")
    if data and not reference:
        raise click.UsageError("--data without --reference; write the model that predicts its images")
    check_out(out)
    from imparfait.core.names import as_file_name
    from imparfait.core.storage import fingerprint
    from imparfait.evaluation.drift import drift as compare
    from imparfait.reports import drift_text as text
    from imparfait.serving.logged_images import REQUEST, parse_since, read_logs

    start = parse_since(since, datetime.now(UTC)) if since else None
    content = read_logs(logs, start)
    found = _images_of(content, model, reference, since)
    other = _reference_of(reference, content, found, data, group)
    result = compare(other.observations, found.observations)
    now = found.observations
    compared = text.compared_sentence(found.images, len(now), found.model, found.first, found.last, other.name)
    remarks = [compared, text.blocks_sentence(found.block, found.block == REQUEST)]
    if content.unreadable:
        remarks.append(f"{counted(content.unreadable, 'line')} left out, cut off or not of such a log")
    sentences = text.drift_sentences(result, other.side, other.on_black)
    sentences += filter(None, [text.verdict_sentence(result)])
    key = fingerprint(*map(str, logs), str(reference), str(since), str(data))
    folder = out / f"drift-{as_file_name(found.model or 'model', MAX_NAME)}-{key[:6]}"
    facts = {
        "model": found.model, "images": found.images, "requests": content.requests, "from": found.first,
        "to": found.last, "reference": other.name, "block": found.block, "unreadable_lines": content.unreadable,
        "sentences": sentences,
    }  # fmt: skip
    as_numbers = text.drift_json(result, facts)
    if missing := [name for name in REPORT_NEEDS if find_spec(name) is None]:
        from imparfait.core.install import install_hint
        from imparfait.core.storage import atomic_directory, write_json

        with atomic_directory(folder) as unfinished:
            write_json(unfinished / "drift.json", as_numbers)
        click.echo(f"no page and figures, which need {missing[0]}; {install_hint('train')}", err=True)
        written = f"numbers: {folder / 'drift.json'}"
    else:
        from imparfait.reports.drift import write_drift

        title, sides = f"Drift: images of {found.model or 'a model'} {other.side} and now", (other.side, "now")
        write_drift(folder, title, result, other.observations, now, sides, sentences, remarks, as_numbers, language)
        written = f"report: {folder / 'report.html'}"
    if as_json:
        console.print_json(as_numbers, folder)
    else:
        console.table(text.HEADINGS, text.drift_rows(result))
        for line in [*sentences, *remarks, written]:
            click.echo(console.plain(line))
        if result.changed:
            command = shlex.join(["imparfait", "label", "FOLDER", "--model", other.model])
            console.next_step(command, "with a FOLDER of such images, labels those that the model needs; then train")
    if result.changed and fail:
        sys.exit(CHANGED_EXIT)


@dataclass(frozen=True, eq=False)
class _Reference:
    observations: "Observations"
    name: str
    """In words."""
    side: str
    """Such as "in training"."""
    model: str
    """The model to label with."""
    on_black: bool = False
    """Whether its images are drawn on black."""


def _images_of(content: "LogContent", model: str | None, reference: str | None, since: str | None) -> "LoggedImages":
    """Those of the model that was named, else of the one called as the reference, else of the newest."""
    if not content.images:
        newest = max(each.last for each in content.earlier.values())
        last = datetime.fromtimestamp(newest, UTC).isoformat(timespec="seconds")
        raise UserError(f"no prediction since {since}; the last is of {last}", hint="write an earlier --since")
    names = sorted(content.images)
    if model is not None and model not in content.images:
        raise UserError(f"--model {model}: not in the log", expected=f"one of {', '.join(names)}")
    if model is not None:
        return content.images[model]
    called = Path(reference).name if reference else ""
    chosen = content.images.get(called) or max(content.images.values(), key=lambda each: each.last)
    if len(names) > 1:
        click.echo(console.plain(f"the log has {len(names)} models; {chosen.model} is compared"), err=True)
    return chosen


def _reference_of(
    reference: str | None, content: "LogContent", found: "LoggedImages", data: str | None, group: str | None
) -> _Reference:
    from imparfait.models.pretrained import PRETRAINED

    if reference is None:
        return _of_log(content.earlier, found.model, "the log before")
    path = Path(reference)
    if path.is_dir() or (reference in PRETRAINED and not path.exists()) or path.suffix == ".onnx":
        return _of_model(reference, found, data, group)
    if data:
        raise UserError(f"--data with --reference {reference}, a log", hint="leave out --data")
    if not path.exists():
        raise UserError(f"{reference}: no such file or folder", expected="a run folder, a model, or an earlier log")
    from imparfait.serving.logged_images import read_logs

    return _of_log(read_logs([path]).images, found.model, str(path))


def _of_log(earlier: "dict[str, LoggedImages]", model: str, name: str) -> _Reference:
    """The earlier images of the same model. Raises UserError where there are none."""
    from imparfait.models.pretrained import PRETRAINED
    from imparfait.reports.drift_text import span_text

    if model not in earlier:
        others = f", only by {', '.join(sorted(earlier))}" if earlier else ""
        raise UserError(f"{name}: has no prediction by {model or 'this model'}{others}", hint="write --reference RUN")
    images = earlier[model]
    said = f"{counted(images.images, 'image')} of {name}, {span_text(images.first, images.last)}"
    known = model if model in PRETRAINED else "RUN"  # the log has the name only
    return _Reference(images.observations, said, "before", known)


def _of_model(model: str, found: "LoggedImages", data: str | None, group: str | None) -> _Reference:
    """The validation images of a run, from its reference.json, or predicted again."""
    from imparfait.core.storage import printable
    from imparfait.evaluation.observations import FILE, least_confidence, read_reference
    from imparfait.models.metadata import read_config
    from imparfait.models.pretrained import PRETRAINED, find_model
    from imparfait.training.manifest import read_manifest

    path = find_model(model)
    kept = None if data or not path.is_dir() else read_reference(path)
    if kept:
        config = read_config(path)
        classes, least = kept.classes, least_confidence(config.threshold, config.none_of_these)
        observations, on_black = kept.observations(least), kept.normalization == "digit"
        of = f"{printable(kept.data)} with {model}" if model in PRETRAINED else path.name
        name = f"{len(observations):,} of {counted(kept.images, f'{kept.split} image')} of {of}"
    elif (path / "settings.json").is_file() and read_manifest(path).final:
        raise UserError(
            f"{model}: was trained on its validation images too, so they are no reference",
            hint="write its run without --final as --reference, or an earlier log",
        )
    elif not data:
        raise UserError(
            f"{model}: has no {FILE} to compare with",
            hint="write the --data that it was trained on, whose validation images are then predicted, or an earlier "
            "log as --reference",
        )
    else:
        from imparfait.inference.loading import load_predictor
        from imparfait.inference.reference import reference_from_data

        predictor = load_predictor(model)
        dataset = console.loaded(data, None, predictor.input_format, group=group)
        observations = reference_from_data(predictor, dataset, console.watch("predicting validation images"))
        classes, on_black = predictor.classes, predictor.input_format.normalization == "digit"
        name = (
            f"{counted(len(observations), 'validation image')} of {dataset.train.name}, predicted by {predictor.name}"
        )
    unknown = sorted({*found.observations.labels} - {*classes})
    if unknown:
        raise UserError(
            f"the log has predictions of {printable(str(unknown[0]))!r}, which is no class of {model}",
            expected="a log of this model",
            hint="write the --reference of the model that was served",
        )
    return _Reference(observations, name, "in training", model, on_black)

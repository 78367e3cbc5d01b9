"""`imparfait read --fields`: the same fields of many forms, as text, JSON or a row of CSV per page."""

import shlex
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from imparfait.cli import console, options
from imparfait.core.counts import counted
from imparfait.core.errors import UserError

if TYPE_CHECKING:
    from imparfait.inference.forms import FieldResult
    from imparfait.inference.forms.fields_file import Form
    from imparfait.inference.forms.form_files import FormResult
    from imparfait.inference.forms.readings_file import ReadingsFile
    from imparfait.inference.predictor import Predictor


def read_forms(
    images: tuple[Path, ...],
    fields: Path,
    csv: Path | None,
    model: str,
    trust: bool,
    threads: int | None,
    as_json: bool,
) -> None:
    """Read the fields of each page; with `csv`, those that are not in there yet."""
    from imparfait.inference.forms.fields_file import load_form
    from imparfait.inference.loading import load_predictor
    from imparfait.inference.ocr.output import files_to_read

    predictor = load_predictor(model, threads or 1, trust)
    form = load_form(fields, predictor.classes)
    files = files_to_read(images)
    counts: Counter[str] = Counter()
    failed: list[FormResult] = []
    with _store(csv, form, predictor) as store:
        for result in _watched(files, form, predictor, store):
            if result.error is None:
                _count(result, counts)
                if as_json or not csv:
                    _print(result, predictor.name, as_json)
                continue
            failed.append(result)
            if as_json:
                _print(result, predictor.name, as_json)
            elif len(files) > 1:
                click.echo(console.plain(f"{result.file}: {result.error}"), err=True)
        if store and csv:
            _summary_of(store, csv)
    if not csv and counts["unsure"]:
        click.echo(
            f"unsure of {counts['unsure']:,} of {counted(counts['fields'], 'field')}: those in parentheses", err=True
        )
        console.next_step(options.again("--csv", "forms.csv"), "a table of all forms")
    if len(failed) == 1 == len(files):
        raise UserError(f"{failed[0].file}: {failed[0].error}")
    console.check_failed([each.file for each in failed], files, "the same command tries them again" if csv else "")


@contextmanager
def _store(csv: Path | None, form: "Form", predictor: "Predictor") -> "Iterator[ReadingsFile | None]":
    """The readings beside the CSV file, which is written when the block ends, however it ends."""
    if csv is None:
        yield None
        return
    from imparfait.inference.forms.decisions import read_decisions, write_csv
    from imparfait.inference.forms.readings_file import ReadingsFile, header_of

    csv.parent.mkdir(parents=True, exist_ok=True)
    with ReadingsFile(csv, header_of(form, predictor.name, predictor.classes)) as store:
        try:
            yield store
        finally:
            write_csv(csv, store.readings, read_decisions(csv))


def _watched(
    files: list[str], form: "Form", predictor: "Predictor", store: "ReadingsFile | None"
) -> "Iterator[FormResult]":
    """The results, behind a bar where they are not printed themselves; ends on Ctrl-C and SIGTERM."""
    from imparfait.cli.signals import Stopped, asked_to_stop
    from imparfait.inference.forms.form_files import read_forms as results_of

    results = results_of(files, form, predictor, store)
    with asked_to_stop() as stop:
        if store is None:
            for result in results:
                yield result
                if stop.signal:
                    raise Stopped(console.stopped_at(result.file, result.finished + 1, len(files)), stop.code)
            return
        with console.bar("reading forms", len(files)) as (progress, task):
            for result in results:
                yield result
                done = result.finished
                progress.update(task, completed=done, description=f"reading forms: {counted(done, 'file')}")
                if stop.signal:
                    again = options.again()
                    raise Stopped(f"stopped; the forms so far are in {store.csv}; to resume: {again}", stop.code)
            progress.update(task, completed=len(files), description=f"reading forms: {counted(len(files), 'file')}")


def _count(result: "FormResult", counts: Counter[str]) -> None:
    assert result.reading
    counts["fields"] += len(result.reading.fields)
    counts["unsure"] += len(result.reading.unsure)


def _print(result: "FormResult", model: str, as_json: bool) -> None:
    from imparfait.inference.results_file import json_line

    if as_json:
        click.echo(json_line(result.to_json(model)))
        return
    assert result.page
    assert result.reading
    click.echo(console.plain(f"{result.page.name}:"))
    for each in result.reading.fields:
        click.echo(f"  {each.name}: {_marked(each)}")
    for each in result.reading.fields:
        if each.reason:
            others = ", ".join(f"{text} ({score:.0%})" for text, score in each.alternatives[:3] if score >= 0.005)
            click.echo(f"{each.name}: unsure, {each.reason}{f'; likely: {others}' if others else ''}", err=True)


def _marked(each: "FieldResult") -> str:
    return each.text if each.confident else f"({each.text})"


def _summary_of(store: "ReadingsFile", csv: Path) -> None:
    """What is in the CSV file now, and what to do next."""
    from imparfait.inference.forms.decisions import key_of, read_decisions
    from imparfait.inference.forms.readings_file import unsure_fields

    readings, decided = store.readings, read_decisions(csv)
    fields = len(readings.pages) * len(readings.header.columns)
    unsure = sum(key_of(*each) not in decided for each in unsure_fields(readings))
    click.echo(
        f"{counted(len(readings.pages), 'form')}, unsure of {unsure:,} of {counted(fields, 'field')}: {csv}", err=True
    )
    if unsure:
        console.next_step(shlex.join(["imparfait", "review", str(csv)]), "decide on them in the browser")

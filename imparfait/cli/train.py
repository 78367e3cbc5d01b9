"""`imparfait train`: train, calibrate and evaluate a classifier."""

import shlex
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from imparfait.cli import console, options, parameters
from imparfait.cli.checks import check_out, check_runs
from imparfait.cli.signals import Stopped

if TYPE_CHECKING:
    from imparfait.data.images.input_format import Normalization
    from imparfait.reports.translation import Language
    from imparfait.training.backbones import Backbone

FEW_OF_EACH = 20  # training images of a class, below which all weights are more than they can fit; not measured
BACKBONE_SIZE = 224  # pixels a side that EfficientNet-Lite0 and most of timm's networks were trained on


@click.command()
@click.option(
    "--recipe",
    type=parameters.RECIPE,
    help="Named settings; `imparfait list` prints them.  [default: the model's own; without --model, "
    "default for digits and photo for other images]",
)
@click.option(
    "--settings", "settings_file", type=click.Path(path_type=Path),
    help="TOML file of settings instead of a recipe, such as the best.toml of a search.",
)  # fmt: skip
@options.data
@options.group
@options.settings
@click.option(
    "--init-from", type=parameters.Model(as_path=True), metavar="RUN",
    help="Initial weights: a run folder or a pretrained model, such as digits.",
)  # fmt: skip
@click.option(
    "--teacher", "teachers", type=parameters.Model(as_path=True), multiple=True, metavar="RUN",
    help="Train by knowledge distillation from this run instead of the labels; repeat for an ensemble.",
)  # fmt: skip
@options.backbone
@options.device
@options.threads
@options.out
@click.option("--final", is_flag=True, help="Train on the validation images too, then evaluate on the test set, once.")
@click.option(
    "--suite", type=parameters.SUITE, default="core", show_default=True,
    help="digits or photo: also that suite's mean and three worst corruptions, on 500 validation images.",
)  # fmt: skip
@click.option(
    "--held-out-classes", is_flag=True,
    help="Also measure how many images of unknown classes are found: trains up to four times more, each time without "
    "some of the classes.",
)  # fmt: skip
@click.option(
    "--track", type=click.Choice(["mlflow", "tensorboard", "wandb"]),
    help="Also log settings, loss and accuracy to a tracker of experiments, in --out. Nothing is sent, unless "
    "MLFLOW_TRACKING_URI or WANDB_MODE says so.",
)  # fmt: skip
@options.language
@options.as_json
def train(
    recipe: str | None,
    settings_file: Path | None,
    data: str,
    size: int | None,
    normalize: "Normalization | None",
    group: str | None,
    skip_unreadable: bool,
    init_from: Path | None,
    teachers: tuple[Path, ...],
    backbone: str | None,
    fine_tune: bool,
    device: str,
    threads: int | None,
    out: Path,
    final: bool,
    suite: str,
    held_out_classes: bool,
    track: str | None,
    language: "Language",
    as_json: bool,
    **flags: str | None,
) -> None:
    """Train a classifier, evaluate it, and write a run folder with a report.

    Without --final, a sixth of the training images is kept as the validation set, and the test set stays sealed. With
    10,000 training images or more, 5 % are held out to calibrate the model. Ctrl-C saves: the same command continues
    from there, and prints the result of a finished run.
    """
    from imparfait.core.errors import UserError
    from imparfait.training.recipes import choose_settings

    if final and suite != "core":
        raise UserError(
            f"--suite {suite} with --final: this suite is for validation images, and --final trains on them",
            hint=f"leave one out; `imparfait evaluate RUN --suite {suite} --split test` evaluates a final run",
        )
    if backbone or fine_tune:
        _check_backbone(backbone, fine_tune)
    if track:
        from imparfait.training.tracking import check_tracker

        check_tracker(track)
    options.changed(choose_settings(recipe, settings_file, flags["model"])[1], flags)  # errors before images are read
    check_out(out)
    check_runs(init_from, *teachers)

    from imparfait.cli.runs import train_and_report
    from imparfait.data.load import DATASETS
    from imparfait.models.loading import load_weights
    from imparfait.training.run import prepare_run, settings_for_weights

    weights = load_weights(init_from) if init_from else None
    own = weights.config.input if weights else None
    pretrained = _load_backbone(backbone) if backbone else None
    dataset = console.loaded(
        data,
        size,
        normalize or (None if size else own),
        channels=own.channels if own else None,
        skip_unreadable=skip_unreadable,
        group=group,
        file_size=BACKBONE_SIZE if backbone else None,
    )
    test = dataset.test if final else None  # a data set without one is refused before anything is trained
    if data not in DATASETS:
        console.report_data(dataset)
    name, base, fixed = choose_settings(recipe, settings_file, flags["model"], None if weights else dataset.train)
    if backbone and not (recipe or settings_file):
        from imparfait.training.linear_probe import FINE_TUNE, PROBE

        name, base = ("fine-tune", FINE_TUNE) if fine_tune else ("linear-probe", PROBE)
    if fine_tune and len(dataset.train) < FEW_OF_EACH * len(dataset.train.classes):
        click.echo(
            f"warning: fewer than {FEW_OF_EACH} training images per class: --fine-tune may be less accurate than the "
            "linear probe; train without it too, and compare",
            err=True,
        )
    settings = options.changed(base, flags)
    if pretrained:
        settings = options.changed(settings, {"model": pretrained.model})
    if name == "photo" and not recipe and not flags["model"]:
        click.echo("recipe: photo, as the images fill their frame; --recipe default is for digits", err=True)
    if weights:
        settings = settings_for_weights(weights, settings, flags["model"])
        if weights.new_head(dataset.train.classes):
            classes = ", ".join(weights.config.classes)
            click.echo(f"{init_from} has other classes ({classes}): the last layer is initialised at random", err=True)
    fixed |= {name for name, value in flags.items() if value is not None}
    if held_out_classes:
        from imparfait.training.held_out_classes import check_held_out_classes

        known_from = "--init-from" if weights else "--teacher" if teachers else ""
        check_held_out_classes(None if final else dataset.train_val()[1], known_from)
    try:
        run, model = prepare_run(
            dataset,
            settings,
            name,
            final=final,
            device=device,
            threads=threads,
            weights=weights,
            teachers=teachers,
            fixed=fixed,
            watch=console.watch("choosing the augmentation"),
            backbone=pretrained,
            frozen=bool(pretrained) and not fine_tune,
            out=out,
        )
    except KeyboardInterrupt as error:
        raise Stopped("stopped before the training: the same command starts again", 128 + signal.SIGINT) from error
    if run.pilot:
        click.echo(str(run.pilot), err=True)
    console.report_steps(settings, run.settings, len(run.data))
    is_new = train_and_report(run, model, test, out, as_json, suite, held_out_classes, track, language)
    if not final and dataset.sealed:
        console.next_step(
            options.again("--final", but="--suite"), "train on the validation images too and evaluate on the test set"
        )
    elif not final and is_new:
        console.next_step(shlex.join(["imparfait", "serve", str(out / run.name)]), "try it on other images")


def _check_backbone(backbone: str | None, fine_tune: bool) -> None:
    """Raise UserError for options that contradict --backbone."""
    from imparfait.core.errors import UserError
    from imparfait.training.settings import TrainingSettings

    if not backbone:
        raise UserError(
            "--fine-tune without --backbone", expected="a network to train further", hint="add --backbone NAME"
        )
    never = {"model", "init_from", "teachers"}
    refused = never if fine_tune else never | {"recipe", "settings_file", *TrainingSettings.model_fields} - {"seed"}
    context = click.get_current_context()
    for option in context.command.params:
        if option.name in refused and context.get_parameter_source(option.name) is ParameterSource.COMMANDLINE:
            raise UserError(
                f"{option.opts[0]} with --backbone {backbone}",
                expected="no other network" if option.name in never else "no setting of a training",
                hint=f"leave {option.opts[0]} out" if option.name in never else "add --fine-tune, or leave it out",
            )


def _load_backbone(name: str) -> "Backbone":
    """The backbone, with what it is on stderr."""
    from imparfait.training.backbones import load_backbone

    backbone = load_backbone(name)
    click.echo(console.plain(f"{name}: pretrained weights, licence {backbone.licence}"), err=True)
    return backbone

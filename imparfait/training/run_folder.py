"""Run folders: where a run works, and what it leaves behind."""

from __future__ import annotations

import contextlib
import csv
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from imparfait.core.compute import ComputeConfig
from imparfait.core.errors import UserError
from imparfait.core.hardware import choose_compute, environment
from imparfait.core.storage import atomic_directory, exclusive_lock, printable, read_regular, write_json
from imparfait.data.dataset import LabelledImages
from imparfait.evaluation.calibration import Calibration
from imparfait.models.custom import custom_fingerprint, is_custom, parts_of
from imparfait.models.metadata import CONFIG, MAX_JSON_BYTES, ModelConfig, NoneOfThese, read_config
from imparfait.models.registry import check_outputs
from imparfait.training.checkpoints import Epoch, changed_variables, has_checkpoint, portable, training_code
from imparfait.training.manifest import RunManifest, read_manifest
from imparfait.training.recipes import recipe_of
from imparfait.training.run import Run
from imparfait.training.settings import TrainingSettings

REPORT = "report.html"  # the last file of a run
CALIBRATION = ("temperature", "threshold", "none_of_these")
"""The entries of config.json that are found on images held out."""


@contextmanager
def work_folder(run: Run, out: Path) -> Iterator[Path]:
    """The folder in `out` for the checkpoints of an unfinished run; removed when the block ends without an error.

    After an error, Ctrl-C or a kill it stays, with its checkpoints if there are any. Raises UserError while another
    process trains the same run.
    """
    folder = out / f"{run.name}.unfinished"
    folder.mkdir(parents=True, exist_ok=True)
    with exclusive_lock(folder, "training"):
        _remove_partial_folders(run.name, out)
        try:
            write_json(folder / "settings.json", run.manifest.model_dump())
            yield folder
        except (Exception, KeyboardInterrupt):
            if not has_checkpoint(folder):
                shutil.rmtree(folder)
            raise
        shutil.rmtree(folder)


def finished_folder(run: Run, out: Path) -> Path | None:
    """The folder in `out` of an equal run that is finished, None if there is none, or if its report failed.

    Removes what processes left that were killed after the folder of their run appeared.
    """
    _remove_leftovers(out)
    folder = out / run.name
    return folder if folder.exists() and not _lacks_report(folder) else None


def _lacks_report(folder: Path) -> bool:
    """Whether the report of a run failed; from the last checkpoint it can be drawn again."""
    return has_checkpoint(folder.with_name(f"{folder.name}.unfinished")) and not (folder / REPORT).exists()


def _remove_leftovers(out: Path) -> None:
    for unfinished in out.glob("*.unfinished"):
        folder = out / unfinished.name.removesuffix(".unfinished")
        if (folder / CONFIG).exists() and not _lacks_report(folder):
            with (
                contextlib.suppress(UserError),
                exclusive_lock(unfinished, "training"),
            ):
                _remove_partial_folders(folder.name, out)
                shutil.rmtree(unfinished)


def _remove_partial_folders(name: str, out: Path) -> None:
    for partial in out.glob(f".{name}-*"):  # of a process that was killed
        shutil.rmtree(partial)


def save_run(
    folder: str | Path,
    model: nn.Module,
    data: LabelledImages,
    settings: TrainingSettings,
    epochs: Sequence[Epoch],
    compute: ComputeConfig | None = None,
    *,
    final: bool = False,
) -> Path:
    """Write a network trained in Python as a run folder, which `open_model`, `load_classifier` and `export` take.

    `data`, `settings` and `compute` are what `train` was given, `epochs` what it yielded. `final` records that the
    validation images were among `data`. A run already at `folder` is replaced. Raises UserError without epochs, for
    logits of the wrong shape, and when `folder` is something other than a run.

    >>> few = imparfait.load_data("mnist").train.select(range(64))
    >>> settings = imparfait.TrainingSettings(epochs=1, batch_size=32)
    >>> model = imparfait.build(settings.model, channels=few.channels, classes=len(few.classes))
    >>> epochs = list(imparfait.train(model, few, settings))
    >>> imparfait.save_run("my_run", model, few, settings, epochs).name
    'my_run'
    """
    folder = Path(folder)
    if not epochs:
        raise UserError("epochs is empty", expected="what train yielded: epochs = list(train(…))")
    if folder.exists() and not (folder / CONFIG).is_file():
        raise UserError(f"{folder}: exists and is not a run", hint="name a folder that does not exist yet")
    batch = torch.from_numpy(data.pixels[: settings.batch_size]) / 255
    check_outputs(model, batch, len(data.classes), settings.model)
    origins = {"network": custom_fingerprint(settings.model)} if is_custom(settings.model) else {}
    run = Run(recipe_of(settings.model), settings, compute or choose_compute(model, batch), data, final, origins)
    with atomic_directory(folder) as unfinished:
        write_run(unfinished, run, model, epochs)
    return folder


def write_run(
    folder: Path,
    run: Run,
    model: nn.Module,
    epochs: Sequence[Epoch],
    calibration: Calibration | ModelConfig | None = None,
    none: NoneOfThese | None = None,
) -> None:
    """Write settings, environment, epochs and the classifier of a run; the model card lists the files.

    `calibration` is its own, or the config.json of a run whose calibration holds for it; `none` the rule for images of
    none of the classes.
    """
    write_json(folder / "settings.json", run.manifest.model_dump())
    write_json(folder / "environment.json", environment(run.compute) | {"code": training_code()})
    with (folder / "epochs.csv").open("w", newline="", encoding="utf-8") as file:
        rows = []
        for epoch in epochs:
            row = asdict(epoch)
            del row["validation"], row["part_losses"]
            rows.append(row | {f"validation_{score.corruption}": score.accuracy for score in epoch.validation})
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    save_file(portable(model.state_dict()), folder / "model.safetensors")
    if is_custom(run.settings.model):
        code, _ = parts_of(run.settings.model)
        (folder / code.name).write_bytes(code.read_bytes())  # for people: what runs is the file where it was
    if isinstance(calibration, ModelConfig):
        kept = {name: getattr(calibration, name) for name in CALIBRATION}
        config = run.config().model_copy(update=kept)
    else:
        config = run.config(calibration).model_copy(update={"none_of_these": none})
    write_json(folder / CONFIG, config.model_dump())


def trained_otherwise(folder: Path) -> str:
    """What trained a finished run, where it was not this code with these versions: in words, or an empty string."""
    try:
        recorded = json.loads(read_regular(folder / "environment.json", MAX_JSON_BYTES))
        known = {name: str(value) for name, value in recorded.items()}
    except (UserError, ValueError, AttributeError):
        known = {}
    code, here = known.get("code", "unknown"), version("torch")
    pytorch, (variables, _) = known.get("torch", here), changed_variables(known)
    others = [
        f"other code of imparfait (digest {code})" if code != training_code() else "",
        f"PyTorch {pytorch}" if pytorch != here else "",
        variables,
    ]
    return printable(" and ".join(filter(None, others)))


def calibrated_before(run: Run, out: Path) -> ModelConfig | None:
    """The config.json in `out` of the run with validation that a final `run` repeats on all images; None if not there.

    Its temperature and threshold were found on images that it had not seen, and hold for this run, which saw more.
    Of few images none can be spared to calibrate a final run by itself.
    """
    if run.validated is None:
        return None
    for file in sorted(out.glob("*/settings.json")):
        try:
            manifest = read_manifest(file.parent)
            config = read_config(file.parent) if manifest.data.sha256 == run.validated else None
        except UserError:  # an unfinished run, or none of ours
            continue
        if config and config.temperature and not manifest.final and _same_training(manifest, run):
            return config
    return None


def calibrate_finished(folder: Path, run: Run, out: Path) -> bool:
    """Give a finished final run that is not calibrated the calibration of its run with validation, if that is there."""
    config = read_config(folder)
    known = calibrated_before(run, out) if config.temperature is None else None
    if known is None:
        return False
    kept = {name: getattr(known, name) for name in CALIBRATION}
    write_json(folder / CONFIG, config.model_copy(update=kept).model_dump())
    return True


def set_none_of_these(folder: Path, rule: NoneOfThese | None) -> None:
    """Store this rule in a finished run."""
    write_json(folder / CONFIG, read_config(folder).model_copy(update={"none_of_these": rule}).model_dump())


def _same_training(manifest: RunManifest, run: Run) -> bool:
    """Whether settings, origins and compute are the same, but for epochs and batches, which follow from the images."""
    by_size = {"epochs": 1, "batch_size": 1}
    same = manifest.settings.model_copy(update=by_size) == run.settings.model_copy(update=by_size)
    return same and manifest.origins == run.origins and manifest.compute == run.compute

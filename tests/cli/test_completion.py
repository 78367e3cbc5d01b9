"""Values complete in the shell: names, run folders and files, without what takes long to import."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete
from helpers.commands import WITHOUT_TORCH

from imparfait.cli import names
from imparfait.cli.list import TOPICS
from imparfait.cli.main import COMMANDS, commands
from imparfait.core.hardware import IS_AVAILABLE
from imparfait.corruptions import CORRUPTIONS, PHOTO, PHOTO_CORRUPTIONS
from imparfait.data.augmentation import AUGMENTATIONS
from imparfait.data.load import DATASETS
from imparfait.data.locate import NAMES
from imparfait.evaluation import suite
from imparfait.evaluation.external import input_spec
from imparfait.inference.ocr.check_digits import NAMES as CHECK_NAMES
from imparfait.models.custom import is_custom
from imparfait.models.pretrained import PRETRAINED
from imparfait.models.registry import MODELS
from imparfait.models.timm_network import PREFIX
from imparfait.selection.executors import EXECUTORS
from imparfait.selection.trials import METHODS
from imparfait.study.plan import stage_names
from imparfait.study.quick import quick_stage_names
from imparfait.study.scales import SCALES
from imparfait.training.backbones import BACKBONES
from imparfait.training.recipes import RECIPES

ALL_CORRUPTIONS = [*CORRUPTIONS, *PHOTO_CORRUPTIONS]
RUNS = ["runs/default-s0-aabbcc", "runs/quick-s0-1a2b3c"]
MODEL_NAMES = ["FILE", *PRETRAINED, *RUNS]
OPTIONS = {
    "predict --model": MODEL_NAMES, "predict --executor": EXECUTORS, "read --model": MODEL_NAMES,
    "read --check": names.CHECK_DIGITS, "serve": MODEL_NAMES, "export": MODEL_NAMES, "export --to": ["onnx", "keras"],
    "check": ["FILE", *DATASETS], "train --recipe": RECIPES, "train --model": MODELS,
    "train --augmentation": AUGMENTATIONS, "train --optimizer": ["adamw", "keras"],
    "train --schedule": ["one_cycle", "constant", "plateau"], "train --data": ["FILE", *DATASETS],
    "train --device": ["auto", *IS_AVAILABLE], "train --init-from": MODEL_NAMES, "train --teacher": MODEL_NAMES,
    "train --backbone": [*BACKBONES, PREFIX], "train --suite": suite.SUITES,
    "train --normalize": ["none", "resize", "letterbox", "digit"], "train --track": ["mlflow", "tensorboard", "wandb"],
    "learning-curve --recipe": RECIPES, "label --model": MODEL_NAMES, "evaluate": MODEL_NAMES,
    "evaluate digits": MODEL_NAMES, "evaluate --split": ["validation", "test", "all"], "evaluate --sample": ["all"],
    "evaluate --executor": EXECUTORS, "evaluate --layout": input_spec.LAYOUTS,
    "evaluate --range": input_spec.VALUE_RANGES, "evaluate --outputs": input_spec.OUTPUTS,
    "evaluate --foreground": input_spec.FOREGROUNDS, "evaluate --color": input_spec.COLORS,
    "compare quick": ["FILE", *RECIPES, *MODELS], "compare --folds": ["groups"], "search": ["FILE", *RECIPES, *MODELS],
    "search --method": METHODS, "gate": MODEL_NAMES, "gate --suite": suite.SUITES, "parity": MODEL_NAMES,
    "parity digits": MODEL_NAMES, "corrupt": ALL_CORRUPTIONS, "corrupt rotate": ALL_CORRUPTIONS,
    "corrupt --dataset": ["folders", "idx"], "calibrate-severity": MODEL_NAMES, "drift --reference": MODEL_NAMES,
    "drift --data": ["FILE", *DATASETS], "fields --model": MODEL_NAMES, "list": TOPICS, "cite": ["imparfait", "mnist"],
    "study --stage": stage_names(SCALES["larger"]), "": COMMANDS,
}  # fmt: skip


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for run in RUNS:
        (tmp_path / run).mkdir(parents=True)
        (tmp_path / run / "config.json").touch()
    (tmp_path / "runs" / "evaluate-digits").mkdir()
    return tmp_path


def completions(words: str, incomplete: str) -> list[str]:
    found = ShellComplete(commands, {}, "imparfait", "_IMPARFAIT_COMPLETE").get_completions(words.split(), incomplete)
    return ["FILE" if item.type == "file" else item.value for item in found]


@pytest.mark.parametrize("words", OPTIONS)
def test_each_value_completes(words: str, home: Path) -> None:
    known = list(OPTIONS[words])
    assert set(known) <= set(completions(words, ""))
    last = known[-1]
    found = completions(words, last[:-1])
    assert last in found
    assert all(name == "FILE" or name.startswith(last[:-1]) for name in found)


def test_names_for_completion_are_those_of_what_they_name() -> None:
    assert tuple(CORRUPTIONS) == names.CORRUPTIONS
    assert tuple(PHOTO_CORRUPTIONS) == names.PHOTO_CORRUPTIONS
    assert (PHOTO, PREFIX) == (names.PHOTO, names.TIMM)
    assert tuple(AUGMENTATIONS) == names.AUGMENTATIONS
    assert tuple(MODELS) == names.NETWORKS
    assert tuple(BACKBONES) == names.BACKBONES
    assert tuple(DATASETS) == NAMES
    assert tuple(suite.SUITES) == names.SUITES
    assert suite.RENAMED == names.RENAMED_SUITES
    assert set(names.DEVICES) == {"auto", *IS_AVAILABLE}
    assert tuple(EXECUTORS) == names.EXECUTORS
    assert tuple(METHODS) == names.METHODS
    assert tuple(input_spec.LAYOUTS) == names.LAYOUTS
    assert tuple(input_spec.VALUE_RANGES) == names.VALUE_RANGES
    assert tuple(input_spec.FOREGROUNDS) == names.FOREGROUNDS
    assert input_spec.OUTPUTS == names.OUTPUTS
    assert {name.rstrip(":") for name in names.CHECK_DIGITS} == {name.partition(":")[0] for name in CHECK_NAMES}
    assert is_custom(f"net{names.OWN_NETWORK}build")
    for scale, stages in (("full", names.STAGES), ("larger", names.LARGER_STAGES)):
        assert tuple(stage_names(SCALES[scale])) == stages
    assert tuple(quick_stage_names()) == names.QUICK_STAGES


@pytest.mark.parametrize("shell", [BashComplete, ZshComplete, FishComplete])
def test_a_shell_gets_completions_without_pytorch(shell: type[ShellComplete], home: Path) -> None:
    name = shell.name
    words = {"COMP_WORDS": "imparfait train --augmentation unl", "COMP_CWORD": "unl" if name == "fish" else "3"}
    environment = os.environ | words | {"_IMPARFAIT_COMPLETE": f"{name}_complete"}
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH], env=environment, capture_output=True, text=True, check=False
    )
    assert "unlike_mnist_c" in done.stdout, done.stderr
    assert "mostly_core" not in done.stdout

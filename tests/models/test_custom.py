"""Custom networks from a file or a function, and trainings that start from trained weights."""

import json
from pathlib import Path

import pytest
import torch
from helpers.bars import draw_bars, write_idx
from helpers.commands import SHORT, SMALL, refused, run
from torch import nn

from imparfait import core_suite, evaluate, train
from imparfait.cli.main import commands
from imparfait.core.compute import ComputeConfig
from imparfait.core.errors import UserError
from imparfait.data.dataset import LabelledImages
from imparfait.models.classifier import as_classifier
from imparfait.models.custom import custom_fingerprint
from imparfait.models.loading import load_classifier, load_weights
from imparfait.models.registry import build
from imparfait.training.settings import TrainingSettings

MY_NET = """
from torch import nn
from layers import head

def build(channels, classes):
    return nn.Sequential(nn.Conv2d(channels, 8, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(),
                         head(8 * 4, classes))
"""
LAYERS = """
from torch import nn

def head(features, classes):
    return nn.Linear(features, classes)
"""


@pytest.fixture
def my_net(tmp_path: Path) -> Path:
    (tmp_path / "layers.py").write_text(LAYERS)
    path = tmp_path / "my_net.py"
    path.write_text(MY_NET)
    return path


@pytest.fixture
def bars_folder(tmp_path: Path) -> Path:
    return write_idx(tmp_path / "bars", draw_bars(120), draw_bars(30, first_source=120))


def test_a_custom_network_is_trained_evaluated_and_loaded_like_ours(my_net: Path, bars_folder: Path) -> None:
    out = my_net.parent / "runs"
    run("train", "--model", f"{my_net}:build", "--data", bars_folder, "--out", out, *SHORT)
    (folder,) = out.iterdir()
    assert folder.name.startswith("default-my_net-s0-")
    assert (folder / "my_net.py").read_text() == MY_NET
    network = f"{my_net}:build"
    scores = json.loads(run("evaluate", folder, "--network", network, "--data", bars_folder, "--out", out, "--json"))
    assert len(scores["conditions"]) == 3
    logits = load_classifier(folder, network=network)(draw_bars(4).pixels.astype("float32") / 255)
    assert logits.shape == (4, 3)


def test_another_network_in_the_same_file_is_another_run(my_net: Path, bars_folder: Path) -> None:
    out = my_net.parent / "runs"
    for text in (MY_NET, MY_NET.replace("8", "6")):
        my_net.write_text(text)
        run("train", "--model", f"{my_net}:build", "--data", bars_folder, "--out", out, *SHORT)
    assert len(list(out.iterdir())) == 2
    first = next(folder for folder in out.iterdir() if (folder / "my_net.py").read_text() == MY_NET)
    with pytest.raises(UserError, match="has changed since the training; restore it"):
        load_classifier(first, network=f"{my_net}:build")


def test_the_fingerprint_covers_modules_that_a_network_imports_from_its_folder(my_net: Path) -> None:
    name = f"{my_net}:build"
    first = custom_fingerprint(name)
    (my_net.parent / "unrelated.py").write_text("1")
    assert custom_fingerprint(name) == first
    (my_net.parent / "parts").mkdir()
    (my_net.parent / "parts" / "__init__.py").write_text("from .deep import bias")
    (my_net.parent / "parts" / "deep.py").write_text("bias = False")
    for file, text in (
        ("layers.py", f"import parts\n{LAYERS}"),
        ("parts/deep.py", "bias = True"),
        ("my_net.py", MY_NET.replace("8", "6")),
    ):
        (my_net.parent / file).write_text(text)
        assert custom_fingerprint(name) != first, file
        first = custom_fingerprint(name)


def test_initial_weights_trained_on_the_validation_images_are_rejected(bars_folder: Path, tmp_path: Path) -> None:
    words = ["--data", bars_folder, "--out", tmp_path / "runs", *SHORT]
    run("train", *words, "--final")
    (final,) = (path for path in (tmp_path / "runs").iterdir() if path.is_dir())
    assert "was trained on the validation images too" in refused("train", *words, "--init-from", final)
    run("train", "--data", write_idx(tmp_path / "others", draw_bars(60, first_source=500), None), "--out", tmp_path,
        "--init-from", final, *SHORT)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("def build(channels, classes): return 3", "returned a int; expected a torch.nn.Module"),
        ("def build(channels, classes): return 1 / 0", "building it ended in ZeroDivisionError: division by zero"),
        ("def other(channels, classes): pass", "no function called 'build' in it, it has other; expected one"),
        ("import nothing_of_this_name", "running it ended in ModuleNotFoundError"),
        ("def build(:", "running it ended in SyntaxError"),
        (
            "from torch import nn\ndef build(channels, classes): return nn.Flatten()",
            "returned shape [2, 256] for 2 images; expected logits of shape [2, 3]",
        ),
        (
            "from torch import nn\ndef build(channels, classes): return nn.Linear(7, classes)",
            "fails on images of shape [2, 1, 16, 16]: mat1 and mat2 shapes cannot be multiplied",
        ),
        (
            "from torch import nn\nclass Tuple(nn.Linear):\n    def forward(self, x): return (x, x)\n"
            "def build(channels, classes): return Tuple(3, 3)",
            "returned tuple for 2 images; expected logits",
        ),
        (
            "from torch import nn\nclass Blind(nn.Module):\n    def forward(self, x): return x.flatten(1)[:, :3]\n"
            "def build(channels, classes): return Blind()",
            "has no weights to train",
        ),
    ],
)
def test_an_unusable_network_is_a_user_error_before_training(
    tmp_path: Path, bars_folder: Path, text: str, error: str
) -> None:
    (tmp_path / "net.py").write_text(text)
    assert error in refused(
        "train", "--model", f"{tmp_path / 'net.py'}:build", "--data", bars_folder, "--out", tmp_path / "runs"
    )
    assert not (tmp_path / "runs").exists()


def test_a_missing_file_is_a_user_error(bars_folder: Path, tmp_path: Path) -> None:
    words = ["train", "--model", "no_net.py:build", "--data", bars_folder, "--out", tmp_path / "runs"]
    assert "no_net.py: there is no such file; expected a Python file; write my_net.py:build" in refused(*words)


def test_in_python_any_function_can_build_a_network(bars: LabelledImages) -> None:
    def small(inputs: int, outputs: int) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(256 * inputs, outputs))

    def named(*, channels: int, classes: int, height: int, width: int, units: int = 4) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(channels * height * width, units), nn.Linear(units, classes))

    first = build(small, channels=1, classes=3)
    assert torch.equal(first[1].weight, build(small, channels=1, classes=3)[1].weight)
    second = build(named, channels=1, classes=3, height=16, width=16, model_args={"units": 5})
    for model in (first, second):
        list(train(model, bars, TrainingSettings(epochs=1, batch_size=8), ComputeConfig()))
        assert len(evaluate(as_classifier(model), core_suite(bars)).conditions) == 3


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("trained")
    run("train", "--data", write_idx(home / "bars", draw_bars(120), None), "--out", home / "runs", *SHORT)
    return next((home / "runs").iterdir())


def test_a_training_starts_from_trained_weights(trained: Path, bars_folder: Path, tmp_path: Path) -> None:
    words = [
        "train",
        "--data",
        bars_folder,
        "--out",
        tmp_path / "runs",
        "--epochs",
        "1",
        "--learning-rate",
        "1e-9",
        *SMALL,
    ]
    run(*words, "--init-from", trained)
    run(*words)
    continued, fresh = (
        next(
            folder
            for folder in (tmp_path / "runs").iterdir()
            if ("weights" in json.loads((folder / "settings.json").read_text())["origins"]) == with_weights
        )
        for with_weights in (True, False)
    )
    before, after, other = (load_weights(folder).tensors["head.weight"] for folder in (trained, continued, fresh))
    torch.testing.assert_close(before, after, atol=1e-6, rtol=0)
    assert not torch.allclose(before, other, atol=1e-3)


def test_a_custom_network_continues_from_its_own_weights(my_net: Path, bars_folder: Path) -> None:
    out = my_net.parent / "runs"
    words = ["train", "--model", f"{my_net.parent}/./my_net.py:build", "--data", bars_folder, "--out", out, *SHORT]
    run(*words)
    (first,) = out.iterdir()
    run(*words, "--init-from", first)
    assert len(list(out.iterdir())) == 2
    without = [word for word in words if word not in words[1:3]]
    assert (
        f"no --model with --init-from {first}, whose network is from a file, my_net.py:build; "
        "if you trust yours, name it: --model my_net.py:build"
    ) in refused(*without, "--init-from", first)
    assert "--model petit with --init-from" in refused(*without, "--model", "petit", "--init-from", first)
    copy = f"{first / 'my_net.py'}:build"
    assert "code in a run folder is not run" in refused(*without, "--model", copy, "--init-from", first)


def test_other_classes_get_a_new_last_layer_and_a_message(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = draw_bars(60)
    two = data.select(data.labels != 2)
    folder = write_idx(tmp_path / "two", two, None)
    commands.main(
        ["train", "--data", str(folder), "--out", str(tmp_path / "runs"), "--init-from", str(trained), *SHORT],
        standalone_mode=False,
    )
    assert f"{trained} has other classes (0, 1, 2)" in " ".join(capsys.readouterr().err.split())
    (continued,) = (tmp_path / "runs").iterdir()
    assert load_classifier(continued)(two.pixels.astype("float32") / 255).shape == (40, 2)


def test_weights_that_do_not_fit_are_a_user_error(trained: Path, tmp_path: Path, bars_folder: Path) -> None:
    words = ["train", "--out", tmp_path / "runs", "--init-from"]
    assert f"--model cnn with --init-from {trained}, which is a duo; omit --model" in refused(
        *words, trained, "--data", bars_folder, "--model", "cnn"
    )
    assert "nowhere: no such model; expected a run folder" in refused(*words, "nowhere", "--data", bars_folder)
    assert not (tmp_path / "runs").exists()

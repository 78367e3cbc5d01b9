"""Untrusted run folders: their code never runs, and every defect is a user error."""

import json
import os
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.fuzz_models import broken_config
from helpers.model_files import CLASSES, SIDE, run_folder
from safetensors.torch import load, save

from imparfait.cli.main import commands
from imparfait.core.compute import ComputeConfig
from imparfait.core.errors import UserError
from imparfait.models.classifier import as_classifier
from imparfait.models.loading import load_classifier, load_weights
from imparfait.models.metadata import ModelConfig, Threshold, read_config
from imparfait.models.registry import build

IMAGES = np.random.default_rng(0).random((5, 1, SIDE, SIDE), np.float32)
CODE = "from pathlib import Path\nPath({canary!r}).touch()\ndef build(channels, classes): pass\n"


def written(folder: Path, **changes: Any) -> Path:
    """A run folder whose config.json is changed; None removes a key."""
    folder.mkdir(exist_ok=True)
    files = run_folder()
    config = json.loads(files["config.json"]) | changes
    for name, content in files.items():
        (folder / name).write_bytes(content)
    kept = {name: value for name, value in config.items() if name not in changes or value is not None}
    (folder / "config.json").write_text(json.dumps(kept))
    return folder


def refused(folder: Path, network: str | None = None) -> str:
    with pytest.raises(UserError) as error:
        load_classifier(folder, "cpu", network)
    sentence = str(error.value)
    assert sentence.isprintable()
    assert len(sentence) < 700
    return sentence


@pytest.mark.parametrize("known_mark", [False, True])
def test_no_code_in_a_run_folder_is_run(tmp_path: Path, known_mark: bool) -> None:
    canary = tmp_path / "canary"
    code = CODE.format(canary=str(canary))
    folder = tmp_path / "run"
    evil = folder / "evil.py"
    origins = {"network": sha256(code.encode()).hexdigest()} if known_mark else {}
    written(folder, model=f"{evil}:build", origins=origins, classes=["0", "1", "2"])  # the classes of _bars
    evil.write_text(code)
    assert "if you trust yours, name it: --network my_net.py:build" in refused(folder)
    assert "code in a run folder is not run" in refused(folder, f"{evil}:build")
    link = tmp_path / "link.py"
    link.symlink_to(evil)
    assert "code in a run folder is not run" in refused(folder, f"{link}:build")
    for words in (["evaluate", str(folder)], ["train", "--init-from", str(folder)]):
        with pytest.raises(UserError, match=r"if you trust yours, name it: --(network|model) my_net.py:build"):
            commands.main([*words, "--data", str(_bars(tmp_path)), "--out", str(tmp_path)], standalone_mode=False)
    assert load_weights(folder).config.model == f"{evil}:build"
    assert not canary.exists()


def _bars(folder: Path) -> Path:
    from helpers.bars import draw_bars, write_idx

    path = folder / "bars"
    return path if path.exists() else write_idx(path, draw_bars(120), draw_bars(30, first_source=120))


def test_a_custom_network_is_run_where_it_is_named_and_unchanged(tmp_path: Path) -> None:
    text = "from imparfait.models.registry import MODELS\nbuild = MODELS['rnn']\n"
    mine = tmp_path / "elsewhere" / "my_net.py"
    mine.parent.mkdir()
    mine.write_text(text)
    mark = sha256(text.encode()).hexdigest()
    folder = written(tmp_path / "run", model="/not/there/any/more/my_net.py:build", origins={"network": mark})
    plain = load_classifier(written(tmp_path / "plain"), "cpu")
    assert np.array_equal(load_classifier(folder, "cpu", f"{mine}:build")(IMAGES), plain(IMAGES))
    assert "expected the path of my_net.py with its function, :build" in refused(folder, "my_net.py:build")
    assert "petit: no such file" in refused(folder, "petit")
    mine.write_text(text + "\n")
    assert "has changed since the training" in refused(folder, f"{mine}:build")
    written(folder, model=f"{mine}:build", origins={})  # not written by a training: its sha256 is unknown
    assert "has changed since the training" in refused(folder, f"{mine}:build")
    assert "has the network rnn; leave --network out" in refused(tmp_path / "plain", f"{mine}:build")


def test_logits_are_divided_by_the_temperature(tmp_path: Path) -> None:
    plain_logits = load_classifier(written(tmp_path / "run", temperature=None, threshold=None), "cpu")(IMAGES)
    threshold = {"confidence": 0.75, "error_rate": 0.01}
    folder = written(tmp_path / "run", temperature=2.5, threshold=threshold)
    scaled = load_classifier(folder, "cpu")(IMAGES)
    assert scaled.dtype == np.float32
    assert np.allclose(scaled * 2.5, plain_logits, atol=1e-6)
    assert read_config(folder).temperature == 2.5
    assert read_config(folder).threshold == Threshold(**threshold)
    model = build("petit", channels=1, classes=3)
    plain, softer = as_classifier(model, ComputeConfig()), as_classifier(model, ComputeConfig(), 2.0)
    assert np.array_equal(plain(IMAGES), softer(IMAGES) * 2)


def test_optional_keys_may_be_missing(tmp_path: Path) -> None:
    config = read_config(written(tmp_path / "run", origins=None, temperature=None, threshold=None))
    assert (config.origins, config.temperature, config.threshold) == ({}, None, None)


AN_INPUT = {"channels": 1, "height": SIDE, "width": SIDE, "range": [0, 1], "normalization": "none"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model": None}, "config.json: not a config.json of imparfait: model: Field required; copy it again"),
        ({"model": 7}, "model: Input should be a valid string"),
        ({"model": "rnn\n\x1b[2J"}, "model: Value error, no line breaks and no other control characters"),
        ({"model": "rrn"}, "its files do not make a classifier: no model is called 'rrn'; did you mean 'rnn'?"),
        ({"more": 1}, "more: Extra inputs are not permitted"),
        ({"\x1b[2J": 1}, "�[2J: Extra inputs are not permitted"),
        ({"model_args": None}, "model_args: Field required"),
        ({"model_args": {"units": 2**40}}, "model_args.units: Input should be less than or equal to 4096"),
        ({"model_args": {"units": "8"}}, "model_args.units: Input should be a valid integer"),
        (
            {"model_args": {"units": 4096}},
            "is float32 [1, 16, 24] in its model.safetensors, and float32 [1, 16, 12288] in",
        ),
        ({"model_args": {"unit": 8}}, "unit"),
        ({"model_args": {"x" * 300: 8}}, "String should have at most 200 characters"),
        ({"classes": []}, "classes: Tuple should have at least 1 item"),
        ({"classes": ["flat", "steep"]}, "in its model.safetensors, and float32 [2, 8] in its config.json's network"),
        ({"classes": ["flat", "steep", "a\nb"]}, "classes.2: Value error, no line breaks"),
        ({"input": None}, "input: Field required"),
        ({"input": AN_INPUT | {"height": 0}}, "input.height: Input should be greater than 0"),
        ({"input": AN_INPUT | {"range": [0, 255]}}, "input.range.1: Input should be 1"),
        ({"input": AN_INPUT | {"height": 2**31}}, "expected at most 4,194,304"),
        ({"input": AN_INPUT | {"channels": 3}}, "in its model.safetensors"),
        ({"compute": {"device": "tpu"}}, "compute.device: Input should be 'cpu', 'cuda' or 'mps'"),
        ({"compute": {"threads": -1}}, "compute.threads: Input should be greater than 0"),
        ({"origins": {"network": "../../x"}}, "origins.network: String should match pattern"),
        ({"temperature": 0}, "temperature: Input should be greater than or equal to 0.01"),
        ({"temperature": float("nan")}, "temperature: Input should be "),
        ({"temperature": "2"}, "temperature: Input should be a valid number"),
        ({"threshold": 0.5}, "threshold: "),
        ({"threshold": {"confidence": 2, "error_rate": 0.01}}, "threshold.confidence: Input should be less than"),
    ],
)
def test_what_is_wrong_in_a_config_is_named(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    sentence = refused(written(tmp_path / "run", **changes))
    assert sentence.startswith(str(tmp_path / "run"))
    assert words in sentence


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not a config.json of imparfait: Invalid JSON: EOF while parsing a value at line 1 column 0"),
        (b"[" * 100_000, "Invalid JSON: recursion limit exceeded"),
        (b"[1]", "Input should be an object"),
        (b"\xff\xfe", "Invalid JSON"),
        (b" " * ((1 << 20) + 1), "has 1,048,577 bytes; expected at most 1,048,576"),
    ],
)
def test_what_is_no_config_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    folder = written(tmp_path / "run")
    (folder / "config.json").write_bytes(content)
    assert words in refused(folder)


def test_pipes_folders_and_huge_files_are_rejected_unread(tmp_path: Path) -> None:
    assert "no such model; expected a run folder" in refused(tmp_path / "nothing")
    (tmp_path / "file").write_text("")
    assert str(tmp_path / "file") in refused(tmp_path / "file")
    for name in ("config.json", "model.safetensors"):
        folder = written(tmp_path / "run")
        (folder / name).unlink()
        os.mkfifo(folder / name)
        assert f"{name}: is not a regular file" in refused(folder)
        (folder / name).unlink()
        (folder / name).mkdir()
        assert f"{name}: is not a regular file" in refused(folder)
        (folder / name).rmdir()
    folder = written(tmp_path / "run")
    with (folder / "model.safetensors").open("wb") as file:
        file.truncate((1 << 30) + 1)
    assert "model.safetensors: has 1,073,741,825 bytes" in refused(folder)
    (folder / "model.safetensors").unlink()
    assert "model.safetensors: cannot be read: No such file or directory" in refused(folder)


def test_weights_of_another_type_or_name_are_named(tmp_path: Path) -> None:
    folder = written(tmp_path / "run")
    tensors = load((folder / "model.safetensors").read_bytes())
    for changed, words in (
        (tensors | {"head.bias": torch.zeros(CLASSES, dtype=torch.complex64)}, "head.bias is complex64 [3] in"),
        (tensors | {"more\x1b": torch.zeros(1)}, "more� is float32 [1] in its model.safetensors, and missing in"),
        ({name: tensor for name, tensor in tensors.items() if name != "head.bias"}, "head.bias is missing in"),
    ):
        (folder / "model.safetensors").write_bytes(save(changed))
        assert words in refused(folder)
        with pytest.raises(UserError):
            load_weights(folder)


def test_what_a_training_writes_is_a_complete_config() -> None:
    """The mutations start from a complete one."""
    content = run_folder()["config.json"]
    assert json.loads(
        ModelConfig.model_validate_json(content, strict=True).model_dump_json(exclude_none=True)
    ) == json.loads(content)


def test_malformed_configs_give_a_user_error_or_a_working_model(tmp_path: Path, fuzz_count: int) -> None:
    canary, folder = tmp_path / "canary", tmp_path / "broken"
    folder.mkdir()
    said = [_outcome(index, folder, canary) for index in range(fuzz_count)]
    assert 0 < said.count("works") < len(said) / 2
    for sentence in set(said) - {"works"}:
        assert sentence.startswith(str(folder))
        assert sentence.isprintable()
        assert len(sentence) < 700
    assert not canary.exists()


def _outcome(index: int, folder: Path, canary: Path) -> str:
    for name, content in broken_config(np.random.default_rng(index), canary).items():
        (folder / name).write_bytes(content)
    try:
        load_classifier(folder, "cpu")(IMAGES)
    except UserError as error:
        return str(error)
    return "works"

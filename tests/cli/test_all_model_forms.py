"""gate and parity with each form of model that evaluate takes, and gate with evaluate's options."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from helpers.model_forms import FILES, onnx_file, served, write_data, write_images

from imparfait.cli.main import commands
from imparfait.evaluation.gate import read_baseline
from imparfait.evaluation.severity_scales import SeverityFile, SeverityScale
from imparfait.selection.executors import EXECUTORS

STATED = ("--range", "1", "--foreground", "light")
FORMS = [*FILES, "an address"]

every_form = pytest.mark.parametrize("form", FORMS)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    onnx_file(home / "reference.onnx")
    write_data(home / "data.npz")
    write_images(home / "images")
    return home


@contextmanager
def model_in(form: str, folder: Path) -> Iterator[str]:
    if form in FILES:
        yield str(FILES[form](folder / form))
    else:
        with served() as address:
            yield address


def call(*words: object, code: int = 0) -> Result:
    result = CliRunner().invoke(commands, list(map(str, words)))
    assert result.exit_code == code, (result.output, result.exception)
    return result


def gate(home: Path, *words: object, suite: str = "core", code: int = 0) -> Result:
    shared = ("--data", home / "data.npz", "--out", home / "runs", "--suite", suite, "--sample", "20")
    return call("gate", *words, *shared, *STATED, code=code)


@every_form
def test_gate_keeps_each_form_of_a_model_to_the_baseline_of_another(form: str, home: Path, tmp_path: Path) -> None:
    baseline = home / "baseline.json"
    if not baseline.exists():
        gate(home, home / "reference.onnx", "--save", baseline)
    with model_in(form, tmp_path) as model:
        words = ("--url", model) if form == "an address" else (model,)
        layout = ("--layout", "flat") if form == "my_model.py" else ()
        said = gate(home, *words, *layout, "--against", baseline, "--min", "clean=0.9", "--json").stdout
    findings = json.loads(said.splitlines()[-1])["findings"]
    assert {found["outcome"] for found in findings} <= {"ok", "within noise"}  # a baseline is rounded
    assert all(found["before"] in (None, pytest.approx(found["accuracy"], abs=0.01)) for found in findings)
    assert next(found["accuracy"] for found in findings if found["name"] == "clean") == 1


@every_form
@pytest.mark.parametrize("is_reference", [False, True])
def test_parity_finds_each_form_of_a_model_equal_to_another(
    form: str, is_reference: bool, home: Path, tmp_path: Path
) -> None:
    with model_in(form, tmp_path) as model:
        pair = (model, home / "reference.onnx") if is_reference else (home / "reference.onnx", model)
        size = ("--size", 4) if is_reference else ()
        said = call("parity", *pair, home / "images", *size, "--json").stdout
    content = json.loads(said)
    assert content["best"]["same"] == content["images"] == 40
    assert content["best"]["mean_difference"] < 1e-3


@pytest.mark.parametrize("executor", EXECUTORS)
def test_gate_writes_the_same_baseline_on_every_executor(home: Path, tmp_path: Path, executor: str) -> None:
    if executor == "ray":
        pytest.importorskip("ray")
    saved = []
    for words in ((), ("--executor", executor, "--threads", 1)):
        gate(home, home / "reference.onnx", *words, "--save", tmp_path / "baseline.json")
        saved.append((tmp_path / "baseline.json").read_bytes())
    assert saved[0] == saved[1]


def test_gate_uses_own_severities_and_refuses_a_baseline_at_others(home: Path, tmp_path: Path) -> None:
    scales = [SeverityScale(corruption="rotate", scale=0.25, accuracy=0.9, outcome="found")]
    file = SeverityFile(model="m", data="d", images=100, kept=0.97, clean=0.9, scales=scales)
    own, published, scaled = (tmp_path / name for name in ("own.json", "published.json", "scaled.json"))
    own.write_text(file.model_dump_json())
    gate(home, home / "reference.onnx", "--save", published, suite="digits")
    said = gate(home, home / "reference.onnx", "--severities", own, "--save", scaled, suite="digits").stdout
    assert "severities of m on 100 validation images of d" in said
    mean = [read_baseline(path).shares("rotate").mean() for path in (published, scaled)]
    assert mean[1] > mean[0]
    gate(home, home / "reference.onnx", "--severities", own, "--against", scaled, suite="digits")
    for words, baseline in ((("--severities", own), published), ((), scaled)):
        result = gate(home, home / "reference.onnx", *words, "--against", baseline, suite="digits", code=1)
        assert "expected the same severities" in str(result.exception)
    result = gate(home, home / "reference.onnx", "--severities", own, "--save", scaled, code=1)
    assert "expected the suite digits or photo" in str(result.exception)


@pytest.mark.parametrize("words", [(), ("digits", "--url", "http://host:1/v1/predict")])
def test_gate_wants_one_model(words: tuple[str, ...], tmp_path: Path) -> None:
    assert "MODEL, or the --url of one" in call("gate", *words, "--save", tmp_path / "b.json", code=2).output

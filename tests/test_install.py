"""The wheel in an empty environment: small, and useful without torch."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from helpers.photos import a_seven
from PIL import Image

from imparfait.core.install import install_hint

ROOT = Path(__file__).parents[1]


def call(*words: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(word) for word in words], capture_output=True, text=True, cwd=cwd)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    built = call(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, ROOT, cwd=out)
    assert built.returncode == 0, built.stdout + built.stderr
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def empty_environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("empty")
    assert call(sys.executable, "-m", "venv", home / "venv", cwd=home).returncode == 0
    installed = call(
        home / "venv/bin/pip", "install", "--quiet", "--disable-pip-version-check",
        "--constraint", ROOT / "constraints.txt", wheel, cwd=home,
    )  # fmt: skip
    assert installed.returncode == 0, installed.stderr
    return home


def test_the_wheel_is_small_and_carries_data_licences_and_page(wheel: Path) -> None:
    assert wheel.stat().st_size < 18_000_000  # MNIST 10, the two models 4, the page reader 2
    names = zipfile.ZipFile(wheel).namelist()
    for expected in (
        "data/mnist/train-images-idx3-ubyte.xz",
        "data/mnist/LICENSE",
        "models/weights/digits/model.onnx",
        "models/weights/digits/reference.json",
        "models/weights/reader.onnx",
        "models/weights/glyphs.onnx",
        "models/weights/sequences.onnx",
        "models/weights/digits-clean/model.safetensors",
        "reports/templates/page.html",
        "reports/templates/run.html",
        "reports/templates/comparison.html",
        "reports/templates/search.html",
        "serving/self_test.json",
        "serving/gallery.json",
        "serving/web/index.html",
        "serving/web/page.css",
        "serving/web/page.js",
        "__init__.pyi",
        "py.typed",
    ):
        assert f"imparfait/{expected}" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_without_torch_it_imports_helps_and_lists(empty_environment: Path) -> None:
    binaries = empty_environment / "venv/bin"
    assert call(binaries / "python", "-c", "import torch", cwd=empty_environment).returncode != 0
    assert call(binaries / "python", "-c", "import imparfait", cwd=empty_environment).returncode == 0
    for words in (["--help"], ["train", "--help"]):
        result = call(binaries / "imparfait", *words, cwd=empty_environment)
        assert result.returncode == 0, result.stderr
        assert "train" in result.stdout
    listed = call(binaries / "imparfait", "list", cwd=empty_environment)
    assert listed.returncode == 0
    assert "default" in listed.stdout
    assert install_hint("train") in listed.stdout


def test_without_torch_it_classifies_an_image(empty_environment: Path) -> None:
    Image.fromarray(255 - a_seven()).resize((90, 90)).save(empty_environment / "seven.jpg")
    result = call(empty_environment / "venv/bin/imparfait", "predict", "seven.jpg", "--show", cwd=empty_environment)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split()[0] == "7"


def test_nothing_says_to_install_a_name_that_is_not_ours_on_the_index() -> None:
    """Whoever takes it there would run code at everyone who follows the message."""
    texts = [*(ROOT / "imparfait").rglob("*.py"), *(ROOT / "imparfait/serving/web").iterdir()]
    texts += [ROOT / "README.md", ROOT / "README.fr.md", *(ROOT / "docs").glob("*.md")]
    from_index = re.compile(r"pip install(?![^\n]*(?:--no-index|--require-hashes))[^\n`]*\bimparfait\b")
    found = [f"{path}: {line}" for path in texts for line in path.read_text(encoding="utf-8").splitlines()
             if from_index.search(line)]  # fmt: skip
    assert found == []
    assert from_index.search("pip install 'imparfait[train]'")


def test_commands_that_need_torch_name_the_extra_to_install(empty_environment: Path) -> None:
    for words in (["train"], ["evaluate", "digits"]):
        result = call(empty_environment / "venv/bin/imparfait", *words, cwd=empty_environment)
        assert result.returncode == 2
        assert result.stderr.strip().endswith(install_hint("train"))
        assert len(result.stderr.strip().splitlines()) == 1


HEAVY = ("torch", "numpy", "matplotlib", "sklearn", "scipy", "pandas", "rich")


@pytest.mark.parametrize("words", [["--help"], ["predict", "--help"], ["train", "--help"]], ids=" ".join)
def test_help_imports_nothing_heavy(words: list[str]) -> None:
    """What makes --help quick: 0.2 s for `imparfait`, 0.4 s for `imparfait train`, whose flags are its settings."""
    heavy = HEAVY if "train" in words else (*HEAVY, "pydantic")
    program = (
        "import sys, imparfait, imparfait.cli.main as m\n"
        f"m.commands.main({words!r}, standalone_mode=False)\n"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    result = call(sys.executable, "-c", program, cwd=ROOT)
    assert result.stdout.splitlines()[-1] == "[]"

"""Every command, program and settings file in README and docs runs on small data."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import chdir
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from helpers.bars import draw_bars, write_idx
from helpers.photos import a_seven
from PIL import Image, ImageDraw

from imparfait.cli.main import COMMANDS, commands
from imparfait.corruptions import CORRUPTIONS, PHOTO_CORRUPTIONS
from imparfait.data.load import load_data
from imparfait.evaluation.image_properties import PROPERTIES
from imparfait.training.backbones import BACKBONES

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
TEXTS = {path.name: path.read_text(encoding="utf-8") for path in PAGES}
WRITTEN = {name: re.sub(r"(?s)<!-- generated.*?<!-- end -->", "", text) for name, text in TEXTS.items()}
WRITTEN["CONTRIBUTING.md"] = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
PROSE = {name: re.sub(r"(?s)```.*?```|`[^`\n]*`|(?m:^    .*$)|\]\([^)]*\)", "", text) for name, text in WRITTEN.items()}
MY_NET = """
from torch import nn

def build(channels, classes):
    return nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(16 * channels, classes))
"""
FORBIDDEN = (
    r"pictures?|alter(?:ations?|ed|s)?|openings?|opens the test|sure of|told|asked|taught by|strangers?|fence[sd]?|"
    r"box(?:es|ed)?|the three|engines?|looks?|mixtures?"
)
FORBIDDEN_BESIDE_TABLES = "cells?"
"""Only the cells of tables on a page, which ocr.md reads, are cells."""
SHORT = {
    "train": ["--epochs", "1"],
    "compare": ["--seeds", "1", "--folds", "2", "--epochs", "1", "--images", "40", "--executor", "serial"],
    "search": ["--trials", "4", "--folds", "2", "--epochs", "1", "--images", "60", "--executor", "serial"],
}
"""Flags added to commands that would take long; one that a command has already stays as it is."""
READS_DATA = ("train", "compare", "search", "evaluate", "calibrate-severity", "gate", "corrupt")
LONG = "imparfait study"
"""Only parsed here; tests/study/test_quick.py and test_rehearsal.py run it."""
SERVERS = {"serve": [], "fields": ["--no-open"], "review": ["--no-open"], "label": ["--no-open"]}
"""Commands that end on a signal, and the flags added to them."""


def blocks(kind: str, text: str) -> list[str]:
    return re.findall(rf"(?ms)^```{kind}\n(.*?)^```", text)


def commands_of(text: str) -> list[str]:
    lines = [line for block in blocks("sh", text) for line in block.splitlines()]
    return [re.split(r"\s{2,}#", line)[0] for line in lines if line.startswith("imparfait ")]


def write_log(path: Path) -> None:
    """A server's log of two weeks."""
    random, now = np.random.default_rng(0), datetime.now(UTC)
    with path.open("w") as file:
        for number in range(120):
            image = {name: random.random() for name in PROPERTIES}
            page = {"label": str(number % 10), "score": 0.9, "confident": True, "image": image}
            when = (now - timedelta(days=14 - number / 9)).isoformat(timespec="milliseconds")
            entry = {"time": when, "address": f"10.0.0.{number % 7}", "path": "/v1/predict", "status": 200}
            file.write(json.dumps({**entry, "model": "quick", "pages": [page]}) + "\n")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with what the pages speak of: `small` and `tiny` are parts of MNIST."""
    home = tmp_path_factory.mktemp("docs")
    mnist = load_data("mnist").train
    write_idx(home / "small", mnist.select(np.arange(300)), mnist.select(np.arange(300, 360)))
    write_idx(home / "tiny", mnist.select(np.arange(60)), mnist.select(np.arange(300, 330)))
    (home / "my_net.py").write_text(MY_NET)
    Image.fromarray(255 - a_seven()).resize((120, 120)).save(home / "photo.jpg")
    table = Image.new("L", (220, 160), 235)
    for x, y in ((20, 20), (110, 20), (20, 80), (110, 80)):
        ImageDraw.Draw(table).rectangle((x, y, x + 90, y + 60), outline=20, width=2)
    table.save(home / "table.jpg")
    (home / "customers.csv").write_text("name,number\nAnn,10433\nBob,00217\nCleo,7\n")
    (home / "scans").mkdir()
    shutil.copy(home / "photo.jpg", home / "scans")
    Image.open(home / "photo.jpg").save(home / "form.pdf")
    (home / "fields.json").write_text(blocks("json", TEXTS["ocr.md"])[0])
    mine = draw_bars(60, 32)
    for number, (pixels, label) in enumerate(zip(mine.pixels, mine.labels, strict=True)):
        path = home / "my_images" / mine.classes[label] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels[0]).save(path)
    write_log(home / "access.log")
    lines = [f"{path.relative_to(home)},{path.parent.name}" for path in sorted((home / "my_images").rglob("*.png"))]
    (home / "labels.csv").write_text("\n".join(["image_path,label", *lines]))
    (home / "names.json").write_text(json.dumps([*mine.classes, *"3456789"]))
    for name in ("a", "b"):  # predictions, of which one is wrong
        wrong = [f"{lines[0].split(',')[0]},none", *lines[1:]] if name == "a" else lines
        (home / f"{name}.csv").write_text("\n".join(["file,label", *wrong]))
    rows = ["image_path,label,device"]
    for number, (pixels, label) in enumerate(zip(mine.pixels, mine.labels, strict=True)):
        meter = f"meter-{number // 3 % 4}"
        path = home / "meters" / mine.classes[label] / meter / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels[0]).save(path)
        rows.append(f"{path.relative_to(home)},{mine.classes[label]},{meter}")
    (home / "meters.csv").write_text("\n".join(rows))
    for text in TEXTS.values():
        for block in blocks("toml", text):
            name = re.match(r"# (\S+\.toml)\n", block)
            assert name, f"the first line of a block of TOML is its file's name: {block}"
            (home / name[1]).write_text(block)
    with chdir(home), pytest.MonkeyPatch.context() as environment:
        environment.setenv("XDG_CACHE_HOME", str(home / "cache"))
        for command in (
            "imparfait train --recipe quick",
            "imparfait train --data my_images --size 32",
            *commands_of(TEXTS["export.md"]),
        ):  # its files are used by others
            run(command, home)
        shutil.copy("digits.onnx", "model.onnx")
        yield home


def on_small_data(command: str) -> list[str]:
    """The words of a command, with small data and short trainings where it says nothing of them."""
    words = [found for word in shlex.split(command)[1:] for found in sorted(map(str, Path().glob(word)))[:1] or [word]]
    verb = words[0]
    probe = "--backbone" in words and "--fine-tune" not in words
    of_tables = verb == "compare" and words[1].endswith(".csv")  # which trains nothing and reads no images
    extra = [] if probe or of_tables else SHORT.get(verb, [])
    for flag, value in zip(extra[::2], extra[1::2], strict=True):
        words += [] if flag in words and flag != "--trials" else [flag, value]
    if verb in READS_DATA and "--data" not in words and not of_tables:
        words += ["--data", "tiny" if "--suite" in words else "small"]
    return words


DONE: set[str] = set()


def run(command: str, home: Path) -> None:
    """A command of a page, once for all pages that have it."""
    if command in DONE:
        return
    DONE.add(command)
    words = on_small_data(command)
    if "--backbone" in words and find_spec(BACKBONES["efficientnet-lite0"].package) is None:
        return  # needs imparfait[efficientnet]
    if command.startswith(LONG):
        words = [words[0], "--help"]
    if words[0] in SERVERS and "--export" not in words:
        serve(home, [*words, *SERVERS[words[0]]])
        return
    result = CliRunner().invoke(commands, words, catch_exceptions=True)
    assert result.exit_code == 0, f"{command}\n{result.output}\n{result.exception}"


def serve(home: Path, words: list[str]) -> None:
    """A server prints its address, and ends on SIGTERM."""
    command = [sys.executable, "-m", "imparfait", *words, "--port", "0"]
    with subprocess.Popen(command, cwd=home, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        assert "http://127.0.0.1:" in server.stdout.readline()
        server.terminate()
        assert server.wait(30) == 0


@pytest.mark.parametrize("page", TEXTS)
def test_every_command_runs(page: str, home: Path) -> None:
    for command in commands_of(TEXTS[page]):
        run(command, home)


@pytest.mark.parametrize(
    ("page", "program"), [(page, block) for page, text in TEXTS.items() for block in blocks("python", text)]
)
def test_every_program_runs(page: str, program: str, home: Path) -> None:
    small = program.replace('load_data("mnist")', 'load_data("small")')
    exec(compile(small, page, "exec"), {"__name__": page})


def test_pages_have_commands_and_programs() -> None:
    verbs = {shlex.split(command)[1] for text in TEXTS.values() for command in commands_of(text)}
    assert verbs == set(COMMANDS)


def test_generated_parts_are_up_to_date() -> None:
    result = subprocess.run([sys.executable, DOCS / "generate.py", "--check"], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_navigation_has_every_page_once() -> None:
    listed = re.findall(r"(?m): (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    assert sorted(listed) == sorted(path.name for path in DOCS.glob("*.md"))


@pytest.mark.parametrize("path", [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "README.fr.md"], ids=lambda path: path.name)
def test_links_lead_to_files_and_headings(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("https://"):
            continue
        file, _, anchor = target.partition("#")
        linked = path.parent / file if file else path
        assert linked.exists(), f"{path.name}: {target}"
        if anchor:
            assert anchor in anchors(linked.read_text(encoding="utf-8")), f"{path.name}: {target}"


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as Markdown tools make them."""
    headings = re.findall(r"(?m)^#+ (.*)$", re.sub(r"(?s)```.*?```", "", text))
    return {re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower()) for heading in headings}


@pytest.mark.parametrize("page", WRITTEN)
def test_named_result_folders_exist(page: str) -> None:
    for folder in re.findall(r"`(results/[\w./-]+)`", WRITTEN[page]):
        assert (ROOT / folder).exists(), folder


@pytest.mark.parametrize("page", PROSE)
def test_only_the_words_of_the_vocabulary(page: str) -> None:
    forbidden = FORBIDDEN if page == "ocr.md" else f"{FORBIDDEN}|{FORBIDDEN_BESIDE_TABLES}"
    found = re.findall(rf"(?i).*\b(?:{forbidden})\b.*", PROSE[page])
    assert not found


@pytest.mark.parametrize("page", PROSE)
def test_sentences_are_short(page: str) -> None:
    """At most 25 words, in paragraphs and lists; tables have no sentences."""
    text = re.sub(r"(?m)^(?:\||#|!\[).*$", "", re.sub(r"(?s)```.*?```|(?m:^    .*$)", "", WRITTEN[page]))
    text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text)
    paragraphs = re.split(r"\n\s*\n|\n(?=\s*(?:[-*]|\d+\.) )", text)
    sentences = [each for part in paragraphs for each in re.split(r"(?<=[.:;?!])\s+", " ".join(part.split()))]
    long = [sentence for sentence in sentences if len(sentence.split()) > 25]
    assert not long


def test_the_counts_of_corruptions_are_correct() -> None:
    for page, text in PROSE.items():
        for number in re.findall(r"\b(\d+) corruptions\b", text):
            assert int(number) in (len(CORRUPTIONS), len(PHOTO_CORRUPTIONS), 15), page

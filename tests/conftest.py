"""Shared fixtures: small images, jaxtyping checks of shapes and types, --fuzz, figures rendered where they matter."""

import os
import signal
from collections.abc import Iterator

import helpers.typechecker  # noqa: F401 - the import hook finds it under this name
from jaxtyping import install_import_hook

# With pytest -n 2 each process has its own core: PyTorch threads of several processes on all cores wait for each other.
CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
if (worker := os.environ.get("PYTEST_XDIST_WORKER")) and CORES:
    os.sched_setaffinity(0, {CORES[int(worker.removeprefix("gw")) % len(CORES)]})

hook = install_import_hook("imparfait", "helpers.typechecker.check")
hook.__enter__()  # for the whole session, before the first module of the package is imported

from contextlib import nullcontext  # noqa: E402
from pathlib import Path  # noqa: E402
from unittest.mock import patch  # noqa: E402

import pytest  # noqa: E402
import torch  # noqa: E402
from helpers.bars import draw_bars, write_idx  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from PIL import Image  # noqa: E402

from imparfait.data.dataset import LabelledImages  # noqa: E402

SLOWEST = (
    "test_docs",
    "test_readme",
    "test_resume",
    "test_end_to_end",
    "test_compare",
    "test_page",
    "test_class_folders",
)
"""Test files that take a minute or more: they start first, so that no core waits for them at the end."""

FUZZ_CASES = 50  # in one test, so that several processes can share them


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fuzz", type=int, default=100, metavar="N", help="malformed files in each fuzz test")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`fuzz_cases`: the numbers of the malformed files, in parts of FUZZ_CASES."""
    if "fuzz_cases" in metafunc.fixturenames:
        count = metafunc.config.getoption("fuzz")
        parts = [range(start, min(start + FUZZ_CASES, count)) for start in range(0, count, FUZZ_CASES)]
        metafunc.parametrize("fuzz_cases", parts, ids=[f"{part.start}-{part.stop - 1}" for part in parts])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = {name: index for index, name in enumerate(SLOWEST)}
    items.sort(key=lambda item: order.get(item.path.stem, len(order)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Figures are rendered in this process only where tests look at them: that is half the time of a short training."""
    looked_at = "reports" in item.path.parts or item.path.name == "test_corrupt.py"
    with nullcontext() if looked_at else patch.object(Figure, "savefig", save_blank):
        return (yield)


def save_blank(figure: Figure, file: object, **options: object) -> None:
    Image.new("L", (1, 1)).save(file, "PNG")


@pytest.fixture(scope="session")
def fuzz_count(pytestconfig: pytest.Config) -> int:
    """The number of malformed files in a fuzz test: --fuzz N."""
    return int(pytestconfig.getoption("fuzz"))


@pytest.fixture(scope="module")
def all_cores() -> Iterator[None]:
    """All cores, for tests of several processes or threads."""
    if CORES:
        own = os.sched_getaffinity(0)
        os.sched_setaffinity(0, CORES)
        yield
        os.sched_setaffinity(0, own)
    else:
        yield


@pytest.fixture
def bars() -> LabelledImages:
    return draw_bars(32)


@pytest.fixture
def images(bars: LabelledImages) -> torch.Tensor:
    return torch.from_numpy(bars.pixels).float() / 255


@pytest.fixture
def bars_folder(tmp_path: Path) -> Path:
    return write_idx(tmp_path / "bars", draw_bars(120), draw_bars(30, first_source=120))


@pytest.fixture(autouse=True)
def _handlers_stay() -> Iterator[None]:
    """An interrupted command ignores Ctrl-C until its process ends: here the process goes on."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)

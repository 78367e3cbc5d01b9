"""Small images drawn here; shapes and types of the package are really checked while tests run."""

import os
from collections.abc import Iterator

import helpers.typechecker  # noqa: F401 - found by the hook below under this name
from jaxtyping import install_import_hook

# Tests may run side by side (pytest -n 2): each process on a core of its own, for threads of several that share all
# cores wait for one another.
CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
if (worker := os.environ.get("PYTEST_XDIST_WORKER")) and CORES:
    os.sched_setaffinity(0, {CORES[int(worker.removeprefix("gw")) % len(CORES)]})

hook = install_import_hook("imparfait", "helpers.typechecker.check")
hook.__enter__()  # for the whole session: every module of the package is imported through it

from pathlib import Path  # noqa: E402

import pytest  # noqa: E402
import torch  # noqa: E402
from helpers.bars import draw_bars, write_idx  # noqa: E402

from imparfait.data.dataset import LabelledImages  # noqa: E402

SLOWEST = ("test_readme", "test_end_to_end", "test_page", "test_compare", "test_notebooks")
"""Files of tests that take minutes: begun first, so that no core waits for them at the end."""


FUZZ_CASES = 50  # in one test, so that several processes can share them


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fuzz", type=int, default=100, metavar="N", help="malformed files in each fuzz test")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`fuzz_cases`: the numbers of the malformed files, in parts of FUZZ_CASES."""
    if "fuzz_cases" in metafunc.fixturenames:
        count = metafunc.config.getoption("fuzz")
        parts = [range(start, min(start + FUZZ_CASES, count)) for start in range(0, count, FUZZ_CASES)]
        metafunc.parametrize("fuzz_cases", parts, ids=[f"{part.start}-{part.stop - 1}" for part in parts])


@pytest.fixture(scope="session")
def fuzz_count(pytestconfig: pytest.Config) -> int:
    """The number of malformed files in a fuzz test: --fuzz N."""
    return int(pytestconfig.getoption("fuzz"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    place = {name: index for index, name in enumerate(SLOWEST)}
    items.sort(key=lambda item: place.get(item.path.stem, len(place)))


@pytest.fixture(scope="module")
def all_cores() -> Iterator[None]:
    """For tests of several processes: all cores there are, though others are tested beside it."""
    if CORES:
        mine = os.sched_getaffinity(0)
        os.sched_setaffinity(0, CORES)
        yield
        os.sched_setaffinity(0, mine)
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

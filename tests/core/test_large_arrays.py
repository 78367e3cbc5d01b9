"""Arrays beyond a share of memory are files: same contents, same results, nothing left behind."""

import os

import numpy as np
import pytest

from imparfait.core import large_arrays
from imparfait.core.errors import UserError
from imparfait.core.large_arrays import in_three_channels, joined, new_array, rows_of
from imparfait.core.storage import user_cache


@pytest.fixture(params=["in memory", "in files"])
def where(request, monkeypatch, tmp_path):
    """Both kinds of arrays, whatever the machine's memory."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    if request.param == "in files":
        monkeypatch.setattr(large_arrays, "limit_bytes", lambda: 0)
        monkeypatch.setattr(large_arrays, "PART_BYTES", 100)  # several parts even of a few images
    return request.param


def drawn(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def filled(images: np.ndarray) -> np.ndarray:
    array = new_array(images.shape)
    array[:] = images
    return array


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_a_new_array_is_of_zeros_of_its_type(where, dtype):
    array = new_array((3, 1, 4, 5), np.dtype(dtype))
    assert array.shape == (3, 1, 4, 5)
    assert array.dtype == dtype
    assert not array.any()


def test_a_new_array_keeps_what_is_written(where):
    images = drawn((7, 3, 4, 5))
    array = filled(images)
    assert isinstance(array, np.memmap) == (where == "in files")
    np.testing.assert_array_equal(array, images)


@pytest.mark.parametrize("rows", [np.array([6, 0, 3, 3]), np.arange(7) % 2 == 0, np.zeros(7, bool)])
def test_rows_are_those_of_numpy_by_place_or_mask(where, rows):
    images = drawn((7, 3, 4, 5))
    np.testing.assert_array_equal(rows_of(filled(images), rows), images[rows])


def test_rows_are_a_copy(where):
    array = filled(drawn((7, 3, 4, 5)))
    rows_of(array, np.arange(7))[:] = 0
    assert array.any()


def test_arrays_are_joined_in_their_order(where):
    first, second = drawn((7, 3, 4, 5)), drawn((2, 3, 4, 5))
    np.testing.assert_array_equal(joined([filled(first), filled(second)]), np.concatenate([first, second]))
    labels = [np.arange(3), np.arange(2)]
    np.testing.assert_array_equal(joined(labels), [0, 1, 2, 0, 1])


def test_grey_images_read_so_far_become_colour_and_the_others_stay_empty(where):
    grey = drawn((5, 1, 4, 5))
    found = in_three_channels(filled(grey), 3)
    np.testing.assert_array_equal(found[:3], grey[:3].repeat(3, 1))
    assert not found[3:].any()


def test_nothing_is_left_in_the_cache_folder(where):
    array = new_array((3, 1, 4, 5))
    assert not list(user_cache("images").iterdir())
    del array


def test_a_full_disk_is_a_sentence_with_the_need_and_a_way_out(where, monkeypatch):
    if where == "in memory":
        pytest.skip("no file is written")

    def full(*_: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(UserError, match=r"No space left on device for 2\.0 GB of numbers.*smaller images"):
        new_array((2000, 1, 1000, 1000))


def test_a_container_s_limit_counts_as_its_memory(monkeypatch, tmp_path):
    monkeypatch.setattr(large_arrays, "CGROUP_LIMIT", tmp_path / "memory.max")
    whole = large_arrays.limit_bytes()
    (tmp_path / "memory.max").write_text("max\n")
    assert large_arrays.limit_bytes() == whole
    (tmp_path / "memory.max").write_text("800000000\n")
    assert large_arrays.limit_bytes() == 100_000_000

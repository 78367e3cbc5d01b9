"""Invalid data files are user errors that name the file, raised before they take memory."""

import gzip
import lzma
import struct
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers.data_files import (
    PACK,
    ImageArrays,
    named_arrays,
    npy,
    npy_with_header,
    write_folders,
    write_idx,
    write_npy,
    write_npz,
)
from helpers.opened_files import open_all
from PIL import Image

from imparfait.core.errors import UserError

Lie = Callable[[np.random.Generator, Path], tuple[Path, str, str]]
"""Writes a data set with one lie in it; returns what to load, the file to be named, and words that must be said."""


def changed(path: Path, change: Callable[[bytes], bytes]) -> Path:
    """Another content for a file, packed as the file was."""
    unpack = {".gz": gzip.decompress, ".xz": lzma.decompress}.get(path.suffix, bytes)
    path.write_bytes(PACK.get(path.suffix, bytes)(change(unpack(path.read_bytes()))))
    return path


def some_idx(random: np.random.Generator, folder: Path) -> tuple[Path, Path]:
    """A folder of IDX files, and one of its files."""
    home = write_idx(folder, ImageArrays.drawn(random), str(random.choice(list(PACK))))
    return home, Path(random.choice([str(path) for path in sorted(home.iterdir())]))


def idx_truncated(random: np.random.Generator, folder: Path) -> tuple[Path, str, str]:
    home, file = some_idx(random, folder)
    changed(file, lambda content: content[: random.integers(0, len(content))])
    return home, file.name, ""


def idx_trailing_bytes(random: np.random.Generator, folder: Path) -> tuple[Path, str, str]:
    home, file = some_idx(random, folder)
    changed(file, lambda content: content + random.bytes(random.integers(1, 50)))
    return home, file.name, "the file holds more"


def idx_other_size(random: np.random.Generator, folder: Path) -> tuple[Path, str, str]:
    """One of the sizes in the header is another."""
    home, file = some_idx(random, folder)

    def change(content: bytes) -> bytes:
        sizes = list(struct.unpack_from(f">{content[3]}I", content, 4))
        place = int(random.integers(len(sizes)))
        sizes[place] = int(random.choice([0, 1, sizes[place] + 1, sizes[place] * 2, 2**31, 2**32 - 1]))
        if sizes == list(struct.unpack_from(f">{content[3]}I", content, 4)):
            sizes[place] += 1
        return content[:4] + struct.pack(f">{len(sizes)}I", *sizes) + content[4 + 4 * len(sizes) :]

    changed(file, change)
    return home, file.name, "the header says"


def idx_other_type(random: np.random.Generator, folder: Path) -> tuple[Path, str, str]:
    home, file = some_idx(random, folder)
    starts = (b"\0\0\x0d\3", b"\0\0\x08\0", b"\0\0\x08\5", b"\1\0\x08\1", b"\x89PNG")
    start = starts[random.integers(len(starts))]
    changed(file, lambda content: start + content[4:])
    return home, file.name, start.hex()


def idx_packed_badly(random: np.random.Generator, folder: Path) -> tuple[Path, str, str]:
    home = write_idx(folder, ImageArrays.drawn(random), str(random.choice([".gz", ".xz"])))
    file = Path(random.choice([str(path) for path in sorted(home.iterdir())]))
    content = file.read_bytes()
    file.write_bytes(
        [content[: random.integers(0, len(content) - 1)], random.bytes(len(content)), content + b"more"][
            random.integers(3)
        ]
    )
    return home, file.name, ""


def labels_of_other_count(random: np.random.Generator, folder: Path) -> tuple[Path, str, str]:
    images = ImageArrays.drawn(random)
    split = str(random.choice(["train", "test"]))
    pixels, labels = images.splits[split]
    less = ImageArrays(images.splits | {split: (pixels, labels[:-1])})
    home = [
        lambda: write_idx(folder, less),
        lambda: write_npy(folder, less),
        lambda: write_npz(folder, {name: npy(array) for name, array in named_arrays(less).items()}),
    ][random.integers(3)]()
    return home, home.name, f"{split} images of shape ({len(pixels)}, "


def label_out_of_range_in_the_test(random: np.random.Generator, folder: Path) -> tuple[Path, str, str]:
    images = ImageArrays.drawn(random)
    pixels, labels = images.splits["test"]
    wrong = labels.copy()
    wrong[random.integers(len(labels))] = 200
    lying = ImageArrays(images.splits | {"test": (pixels, wrong)})
    home = write_idx(folder, lying) if random.integers(2) else write_npy(folder, lying)
    return home, home.name, "a test label is 200; expected one of the train labels, 0, 1"


def some_npy(random: np.random.Generator, folder: Path, change: Callable[[str, np.ndarray], bytes]) -> tuple[Path, str]:
    """Arrays in a folder or an .npz, one of them written as `change` says; and how that one is called."""
    arrays = named_arrays(ImageArrays.drawn(random))
    name = str(random.choice(list(arrays)))
    files = {key: change(key, array) if key == name else npy(array) for key, array in arrays.items()}
    if random.integers(2):
        return write_npz(folder, files, packed=bool(random.integers(2))), f"{folder.name}.npz[{name}]"
    folder.mkdir()
    for key, content in files.items():
        (folder / f"{key}.npy").write_bytes(content)
    return folder, f"{name}.npy"


def npy_other_shape(random: np.random.Generator, folder: Path) -> tuple[Path, str, str]:
    def change(name: str, array: np.ndarray) -> bytes:
        shape = list(array.shape)
        shape[0] += int(random.choice([-1, 1, 100, 2**33, 2**60]))
        return npy_with_header(array, tuple(shape))

    return *some_npy(random, folder, change), "the header says"


def npy_truncated(random: np.random.Generator, folder: Path) -> tuple[Path, str, str]:
    def change(name: str, array: np.ndarray) -> bytes:
        content = npy(array)
        return content[: random.integers(0, len(content))]

    return *some_npy(random, folder, change), ""


def npy_trailing_bytes(random: np.random.Generator, folder: Path) -> tuple[Path, str, str]:
    return *some_npy(random, folder, lambda name, array: npy(array) + b"more"), "the file holds more"


def npy_of_objects(random: np.random.Generator, folder: Path) -> tuple[Path, str, str]:
    """What NumPy would unpickle, which is to run what the file says."""
    return *some_npy(random, folder, lambda name, array: npy_with_header(array, array.shape, "|O")), "expected whole"


def npy_of_fractions(random: np.random.Generator, folder: Path) -> tuple[Path, str, str]:
    return *some_npy(random, folder, lambda name, array: npy(array.astype(np.float32) / 255)), "float32; expected whole"


def npy_strange_header(random: np.random.Generator, folder: Path) -> tuple[Path, str, str]:
    text = random.choice([b"{'descr': '|u1'}", b"(" * 5000, b"__import__('os')", b"\xff\xfe", b"{'shape': (-1,)}", b""])
    start = b"\x93NUMPY\1\0" + struct.pack("<H", len(text))
    return *some_npy(random, folder, lambda name, array: start + bytes(text) + array.tobytes()), ""


def npz_broken(random: np.random.Generator, folder: Path) -> tuple[Path, str, str]:
    arrays = named_arrays(ImageArrays.drawn(random))
    path = write_npz(folder, {name: npy(array) for name, array in arrays.items()}, packed=bool(random.integers(2)))
    content = bytearray(path.read_bytes())
    if random.integers(2):
        path.write_bytes(content[: random.integers(0, len(content) - 30)])
    else:  # a byte of an array's values: the archive's checksum tells
        with zipfile.ZipFile(path) as archive:
            first = archive.infolist()[0]
        content[first.header_offset + 30 + len(first.filename) + first.compress_size // 2] ^= 0xFF
        path.write_bytes(content)
    return path, path.name, ""


def npz_of_two_arrays_of_one_name(random: np.random.Generator, folder: Path) -> tuple[Path, str, str]:
    path = write_npz(folder, {name: npy(array) for name, array in named_arrays(ImageArrays.drawn(random)).items()})
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("train_labels.npy", npy(np.zeros(3, np.uint8)))
    return path, path.name, "two arrays of one name"


def some_image_file(random: np.random.Generator, folder: Path) -> tuple[Path, Path]:
    """A folder of class folders, and one of its images."""
    home = write_folders(folder, ImageArrays.drawn(random), str(random.choice([".png", ".bmp", ".tif", ".gif"])))
    return home, Path(random.choice(sorted(map(str, home.rglob("*.*")))))


def file_that_is_no_image(random: np.random.Generator, folder: Path) -> tuple[Path, str, str]:
    home, file = some_image_file(random, folder)
    contents = {
        b"": "is empty", b"hello, this is text": "it looks like text", random.bytes(200): "",
        b"<svg></svg>": "is an SVG drawing", b"%PDF-1.7\n": "is a PDF",
    }  # fmt: skip
    content = list(contents)[random.integers(5)]
    file.write_bytes(content)
    return home, file.name, contents[content]


def truncated_image(random: np.random.Generator, folder: Path) -> tuple[Path, str, str]:
    home, file = some_image_file(random, folder)
    content = file.read_bytes()
    file.write_bytes(content[: random.integers(0, len(content) // 2)])
    return home, file.name, ""


def image_with_a_huge_header(random: np.random.Generator, folder: Path) -> tuple[Path, str, str]:
    home = write_folders(folder, ImageArrays.drawn(random))
    file = Path(random.choice(sorted(map(str, home.rglob("*.png")))))
    content = bytearray(file.read_bytes())
    content[16:24] = struct.pack(">II", int(random.choice([20_000, 2**31 - 1])), int(random.choice([20_000, 60_000])))
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    file.write_bytes(content)
    return home, file.name, ""


def image_of_another_size(random: np.random.Generator, folder: Path) -> tuple[Path, str, str]:
    home, file = some_image_file(random, folder)
    Image.new("L", (40, 50)).save(file)
    return home, "--size", "pixels"


def two_classes_of_one_name(random: np.random.Generator, folder: Path) -> tuple[Path, str, str]:
    home = write_folders(folder, ImageArrays.drawn(random))
    twin = str(random.choice(["Apple", "APPLE", "apple ", " apple"]))
    (home / "train" / twin).mkdir()
    Image.new("L", (5, 5)).save(home / "train" / twin / "0.png")
    return home, "train", "two classes of one name"


def class_only_in_the_test(random: np.random.Generator, folder: Path) -> tuple[Path, str, str]:
    home = write_folders(folder, ImageArrays.drawn(random))
    (home / "test" / "zebra").mkdir()
    Image.new("L", (5, 5)).save(home / "test" / "zebra" / "0.png")
    return home, "test", "a class 'zebra', which the training images do not have"


def class_without_an_image(random: np.random.Generator, folder: Path) -> tuple[Path, str, str]:
    home = write_folders(folder, ImageArrays.drawn(random))
    (home / "train" / "zebra").mkdir()
    return home, "zebra", "a class without an image"


ALL_LIES: tuple[Lie, ...] = (
    idx_truncated, idx_trailing_bytes, idx_other_size, idx_other_type, idx_packed_badly, labels_of_other_count,
    label_out_of_range_in_the_test, npy_other_shape, npy_truncated, npy_trailing_bytes, npy_of_objects,
    npy_of_fractions,
    npy_strange_header, npz_broken, npz_of_two_arrays_of_one_name, file_that_is_no_image, truncated_image,
    image_with_a_huge_header, image_of_another_size, two_classes_of_one_name, class_only_in_the_test,
    class_without_an_image,
)  # fmt: skip


@pytest.mark.parametrize("lie", ALL_LIES, ids=lambda lie: lie.__name__)
def test_an_invalid_file_is_a_user_error_that_names_it(tmp_path: Path, lie: Lie, fuzz_count: int) -> None:
    for seed in range(-(-fuzz_count // 10)):
        home, name, words = lie(np.random.default_rng(seed), tmp_path / str(seed))
        tracemalloc.start()
        try:
            with pytest.raises(UserError) as error:
                open_all(home)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        said = str(error.value)
        assert name in said, f"seed {seed}: {said}"
        assert words in said, f"seed {seed}: {said}"
        assert "\n" not in said
        assert len(said) < 700
        assert peak < 30_000_000  # an unpacker's own buffers; the lies ask for up to 2**60

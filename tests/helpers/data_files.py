"""Data sets in every supported format (IDX, NumPy files, image folders) with random images."""

import gzip
import io
import lzma
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

PACK: dict[str, Callable[[bytes], bytes]] = {"": bytes, ".gz": gzip.compress, ".xz": lzma.compress}
CLASSES = ("apple", "bird", "crane 2", "crane 10")


@dataclass(frozen=True)
class ImageArrays:
    """What a data set should be read as: splits of (pixels [n, height, width, channels], labels)."""

    splits: dict[str, tuple[np.ndarray, np.ndarray]]

    @staticmethod
    def drawn(random: np.random.Generator, splits: tuple[str, ...] = ("train", "test")) -> "ImageArrays":
        height, width = random.integers(2, 12, 2)
        channels = int(random.choice([1, 3]))
        drawn = {}
        for split in splits:
            classes = int(random.integers(2, len(CLASSES) + 1)) if split == "train" else int(max(drawn["train"][1]) + 1)
            labels = np.concatenate([np.arange(classes).repeat(2), random.integers(0, classes, random.integers(0, 9))])
            pixels = random.integers(0, 256, (len(labels), height, width, channels), dtype=np.uint8)
            pixels[:, 0, 0, 0] = pixels[:, 0, 0, -1] // 2  # so that every colour image has a colour
            drawn[split] = (pixels, random.permutation(labels))
        return ImageArrays(drawn)


def idx(array: np.ndarray, shape: tuple[int, ...] | None = None) -> bytes:
    shape = shape or array.shape
    return bytes([0, 0, 8, len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + array.astype(np.uint8).tobytes()


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def npy_with_header(array: np.ndarray, shape: tuple[int, ...], kind: str = "") -> bytes:
    """A file whose header says another shape, or another type, than its values have."""
    text = repr({"descr": kind or array.dtype.str, "fortran_order": False, "shape": shape}).encode()
    text += b" " * (63 - (len(text) + 10) % 64) + b"\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text + array.tobytes()


def plain(pixels: np.ndarray) -> np.ndarray:
    """Grey images without an axis for their one channel, as MNIST's are."""
    return pixels[..., 0] if pixels.shape[3] == 1 else pixels


def write_idx(folder: Path, images: ImageArrays, suffix: str = "") -> Path:
    folder.mkdir()
    for split, name in (("train", "train"), ("test", "t10k")):
        if split in images.splits:
            pixels, labels = images.splits[split]
            (folder / f"{name}-images-idx{suffix}").write_bytes(PACK[suffix](idx(plain(pixels))))
            (folder / f"{name}-labels-idx{suffix}").write_bytes(PACK[suffix](idx(labels)))
    return folder


def named_arrays(images: ImageArrays, names: tuple[str, str] = ("{}_images", "{}_labels")) -> dict[str, np.ndarray]:
    return {
        name.format(split): plain(array) if index == 0 else array
        for split, pair in images.splits.items()
        for index, (name, array) in enumerate(zip(names, pair, strict=True))
    }


def write_npy(folder: Path, images: ImageArrays) -> Path:
    folder.mkdir()
    for name, array in named_arrays(images).items():
        (folder / f"{name}.npy").write_bytes(npy(array))
    return folder


def write_npz(path: Path, files: dict[str, bytes], packed: bool = True) -> Path:
    path = path.with_suffix(".npz")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED) as archive:
        for name, content in files.items():
            archive.writestr(f"{name}.npy", content)
    return path


def write_folders(folder: Path, images: ImageArrays, suffix: str = ".png") -> Path:
    for split, (pixels, labels) in images.splits.items():
        for number, (image, label) in enumerate(zip(pixels, labels, strict=True)):
            path = folder / split / CLASSES[label] / f"{number:03d}{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(path)
    return folder

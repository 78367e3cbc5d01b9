"""Pages with handwritten numbers."""

import io
from functools import lru_cache
from pathlib import Path

import numpy as np
from click.testing import CliRunner, Result
from PIL import Image

import imparfait
from helpers.lines import row
from imparfait.cli.main import commands
from imparfait.core.errors import UserError


@lru_cache
def validation() -> tuple[np.ndarray, np.ndarray]:
    """Validation images and their labels; the second half is the benchmark's."""
    _, images = imparfait.split(imparfait.load_data().train)
    return images.pixels[:5000, 0], images.labels[:5000]


def digits(text: str, first: int = 0) -> np.ndarray:
    """An image of each digit of `text`; another `first` is another hand."""
    pixels, labels = validation()
    return np.stack([pixels[np.flatnonzero(labels == int(label))[first + index]] for index, label in enumerate(text)])


def sheet(height: int = 260, width: int = 560) -> np.ndarray:
    return np.full((height, width), 240.0)


def write(
    page: np.ndarray, text: str, at: tuple[int, int], tall: float = 44, first: int = 0
) -> list[tuple[float, ...]]:
    """Draw a number on a page, its upper left corner at (row, column); the boxes of its digits."""
    foreground, boxes, _ = row(digits(text, first), tall, np.random.default_rng(first), touch=0)
    foreground = foreground[round(tall / 2) :]
    part = page[at[0] : at[0] + foreground.shape[0], at[1] : at[1] + foreground.shape[1]]
    np.minimum(part, 240 - 210 * foreground[: part.shape[0], : part.shape[1]], out=part)
    return [(left + at[1], top + at[0] - round(tall / 2), right + at[1], bottom + at[0] - round(tall / 2))
            for left, top, right, bottom in boxes]  # fmt: skip


def png(page: np.ndarray, kind: str = "PNG", **more: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.clip(np.rint(page), 0, 255).astype(np.uint8)).save(buffer, kind, **more)
    return buffer.getvalue()


def run_read(*arguments: str | Path, code: int = 0) -> Result:
    result = CliRunner().invoke(commands, ["read", *map(str, arguments)])
    assert (2 if isinstance(result.exception, UserError) else result.exit_code) == code, result.output
    return result

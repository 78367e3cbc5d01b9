"""Images in every form that a Python program has: files, bytes, open files, arrays, Pillow's images, lists of these."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from PIL import Image

from imparfait.core.errors import UserError
from imparfait.data.images.decode import Page, page_of, read_pages
from imparfait.data.images.limits import Limits


@runtime_checkable
class OpenFile(Protocol):
    """A file that was opened to read bytes, or bytes in memory."""

    def read(self, size: int = -1, /) -> bytes:
        """At most so many bytes from where it stands."""


@runtime_checkable
class Tensor(Protocol):
    """A tensor of another library."""

    def __array__(self) -> np.ndarray:
        """As an array."""


OneImage: TypeAlias = "str | Path | bytes | OpenFile | Image.Image | np.ndarray | Tensor"
"""A file or its path, its bytes, Pillow's image, or an array as `page_of` takes it."""

ImageSource: TypeAlias = "OneImage | Sequence[OneImage]"
"""An image, or several: a list, or an array [n, channels, height, width]."""

EXPECTED = "a path, bytes, an open file, an array, Pillow's image, or a list of these"


def images_of(source: ImageSource) -> tuple[list[Any], bool]:
    """Each image of the source, and whether the source is of several. Raises UserError for what is neither."""
    if isinstance(source, np.ndarray) and source.ndim == 4:
        return list(source), True
    if isinstance(source, list | tuple):
        if any(isinstance(each, int | float | list | tuple) for each in source):
            raise UserError("a list of numbers", expected=EXPECTED, hint="write numpy.array(...) around it")
        return list(source), True
    return [source], False


def pages_of(source: OneImage, limits: Limits | None = None) -> Iterator[Page]:
    """The pages of one image; files and bytes may have several. Raises UserError as `read_pages` and `page_of` do."""
    content = content_of(source, limits or Limits())
    if isinstance(content, Image.Image | np.ndarray):
        yield page_of(content)
    else:
        yield from read_pages(content, limits=limits)


def content_of(source: OneImage, limits: Limits) -> str | bytes | Image.Image | np.ndarray:
    """The source as a path, bytes, Pillow's image or an array; an open file is read from where it stands."""
    if isinstance(source, str | bytes | Image.Image | np.ndarray):
        return source
    if isinstance(source, os.PathLike):
        return os.fspath(source)
    if isinstance(source, OpenFile):
        content = source.read(limits.bytes + 1)
        if not isinstance(content, bytes):
            raise UserError("a file that was opened as text", expected="bytes", hint="write open(path, 'rb')")
        return content
    if isinstance(source, Tensor):
        return np.asarray(source)
    raise UserError(f"a value of type {type(source).__name__}", expected=EXPECTED)


def name_of(source: OneImage) -> str:
    """A path as it was given; other images have no name."""
    return str(source) if isinstance(source, str | os.PathLike) else ""

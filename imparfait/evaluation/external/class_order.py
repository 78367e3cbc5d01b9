"""The order of an external model's outputs: their names, and the order that explains validation images."""

# A model's outputs are named by the user (--classes), by its file, or stand in the order of the data's classes. Where
# names are needed and missing, validation images tell which output stands for which class, and an error proposes them.

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from imparfait.core.errors import UserError

NUMBER_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
PREFIX = re.compile(r"^(class|digit|label)[ _-]*(?=\w)")  # before a number, as in digit_3
OTHER = "other"  # the proposed name of an output that stands for no class of the data
MAX_PROPOSED = 100  # outputs whose names fit into an error's hint
MAX_FILE_BYTES = 1 << 20
MIN_GAIN = 0.10  # of accuracy on images kept aside, by which another order must be better
SIGMAS = 3.0  # of the difference of two paired counts, which it must reach too


@dataclass(frozen=True)
class OrderTrial:
    """An order of outputs found on half of the images, and how many of the others it has correct."""

    names: tuple[str, ...]
    """Of each output the class that it stands for, or OTHER."""
    correct: int
    as_given: int
    """How many are correct where outputs stand in the order of the data's classes."""
    total: int

    @property
    def accuracy(self) -> float:
        """The share that is correct, 0..1."""
        return self.correct / self.total

    @property
    def is_better(self) -> bool:
        """Whether it is much better than the order of the data's classes, beyond noise."""
        gain = self.correct - self.as_given
        return gain >= MIN_GAIN * self.total and gain > SIGMAS * math.sqrt(self.correct + self.as_given) / 2


def read_class_names(text: str) -> tuple[str, ...]:
    """Names in the order of outputs: `text` is a list with commas, or a file with a name per line or a JSON list."""
    path = Path(text)
    try:
        is_file = path.is_file()
    except (OSError, ValueError):  # too long for a path
        is_file = False
    if not is_file:
        names = [name.strip() for name in text.split(",")]
        if len(names) < 2:
            raise UserError(
                f"--classes {text}: neither names nor a file",
                expected="the names of the model's outputs in order, with commas, or a file with one per line",
            )
        return _checked(names, "--classes")
    if path.stat().st_size > MAX_FILE_BYTES:
        raise UserError(f"{text}: has {path.stat().st_size:,} bytes", expected="a list of class names")
    try:
        content = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{text}: is no text", expected="one class name per line, or a JSON list") from error
    if not content.lstrip().startswith(("[", "{")):
        return _checked([line.strip() for line in content.splitlines() if line.strip()], text)
    try:
        found = json.loads(content)
        if isinstance(found, dict):  # Hugging Face's id2label, alone or in its config.json
            found = found.get("id2label", found)
            found = [found[str(index)] for index in range(len(found))]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f"{text}: is no list of names in JSON", expected='["cat", "dog", …]') from error
    return _checked([str(name) for name in found], text)


def output_columns(names: Sequence[str], classes: Sequence[str]) -> Int64[np.ndarray, " classes"] | None:
    """The output of each class, by its name; None where a class has none. Case and spaces are not compared.

    Digits and their English words are the same, as are 3 and digit_3.
    """
    exact = {name: index for index, name in enumerate(names)}
    if all(name in exact for name in classes):
        return np.array([exact[name] for name in classes], np.int64)
    alike = {_plain(name): index for index, name in enumerate(names)}
    wanted = [_plain(name) for name in classes]
    if len(set(wanted)) < len(classes) or not all(name in alike for name in wanted):
        return None
    return np.array([alike[name] for name in wanted], np.int64)


def missing_name(names: Sequence[str], classes: Sequence[str]) -> str:
    """A class that no output is named after."""
    return next(name for name in classes if _plain(name) not in {_plain(each) for each in names})


def try_order(
    predicted: Int64[np.ndarray, " n"], labels: Int64[np.ndarray, " n"], outputs: int, classes: Sequence[str]
) -> OrderTrial:
    """The order of outputs that explains half of the images best, counted on the other half."""
    from scipy.optimize import linear_sum_assignment  # late: only where it is needed

    counts = np.zeros((outputs, len(classes)), np.int64)
    np.add.at(counts, (predicted[::2], labels[::2]), 1)
    rows, columns = linear_sum_assignment(counts, maximize=True)
    class_of = np.full(outputs, -1, np.int64)
    class_of[rows] = columns
    kept, truths = predicted[1::2], labels[1::2]
    names = tuple(classes[index] if index >= 0 else OTHER for index in class_of.tolist())
    return OrderTrial(names, int((class_of[kept] == truths).sum()), int((kept == truths).sum()), len(truths))


def proposal(order: OrderTrial | None) -> str:
    """The flag to write, with what was found on validation images where that is clear."""
    if order is None:
        return "write --classes with their names in order, or with a file of one name per line"
    found = f"with which {order.correct:,} of {order.total:,} validation images are correct"
    if len(order.names) > MAX_PROPOSED:
        named = [f"{index} is {name}" for index, name in enumerate(order.names) if name != OTHER]
        return f"write --classes FILE with one name per line; output {', '.join(named[:10])}, {found}"
    return f"write --classes {','.join(order.names)}, {found}"


def _plain(name: str) -> str:
    plain = " ".join(name.replace("_", " ").split()).casefold()
    plain = PREFIX.sub("", plain)
    return str(NUMBER_WORDS.index(plain)) if plain in NUMBER_WORDS else plain


def _checked(names: Sequence[str], where: str) -> tuple[str, ...]:
    if len(names) < 2 or not all(name and name.isprintable() for name in names):
        raise UserError(f"{where}: {len(names)} names, some of them empty or not printable", expected="two or more")
    return tuple(names)

"""What config.json in a run folder says of its classifier: checked, for anybody may have written it."""

import os
import stat
import unicodedata
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field, PositiveInt, ValidationError

from imparfait.errors import UserError
from imparfait.settings import Machine

CONFIG = "config.json"
MOST_BYTES = 1 << 20  # of config.json: 30,000 class names
MOST_VALUES = 1 << 22  # in a picture: 2,000 pixels a side in grey


def _without_controls(text: str) -> str:
    if any(unicodedata.category(letter) == "Cc" for letter in text):
        raise ValueError("no line breaks and no other control characters")  # what is printed could move the cursor
    return text


Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_without_controls)]
Sha256 = Annotated[str, Field(pattern=r"\A[0-9a-f]{64}\z")]


class Input(BaseModel, frozen=True, extra="forbid"):
    """The pictures it takes."""

    channels: PositiveInt
    height: PositiveInt
    width: PositiveInt
    range: tuple[Literal[0], Literal[1]] = (0, 1)
    background: Literal[0] = 0


class Threshold(BaseModel, frozen=True, extra="forbid"):
    """Answers with at least this confidence are accepted; of these at most the share `error_rate` is wrong."""

    confidence: float = Field(ge=0, le=1)
    error_rate: float = Field(gt=0, lt=1)


class Config(BaseModel, frozen=True, extra="forbid"):
    """A classifier's network, and what it takes and answers."""

    model: Annotated[str, Field(min_length=1, max_length=4096), AfterValidator(_without_controls)]
    """A name, or the file and the function of one's own network: to be named by who runs it."""
    origins: dict[Name, Sha256] = {}
    sizes: dict[Name, Annotated[int, Field(ge=1, le=1 << 12)]]
    classes: tuple[Name, ...] = Field(min_length=1)
    input: Input
    machine: Machine
    temperature: float | None = Field(None, ge=0.01, le=100)
    """What the logits are divided by; None is 1. Found ones are 0.05 to 20; others would only overflow."""
    threshold: Threshold | None = None


def config_of(folder: Path) -> Config:
    """What config.json in a run folder says of its classifier; raises UserError when it cannot be read."""
    file = folder / CONFIG
    content = read_regular(file, MOST_BYTES)
    try:
        config = Config.model_validate_json(content, strict=True)
    except ValidationError as error:
        first = error.errors(include_input=False, include_context=False)[0]
        where = printable(".".join(map(str, first["loc"])))
        raise UserError(
            f"{file}: not as a training wrote it: {f'{where}: ' if where else ''}{printable(first['msg'])}; "
            "copy it anew from where it was trained, or train again"
        ) from error
    values = config.input.channels * config.input.height * config.input.width
    if values > MOST_VALUES:
        raise UserError(f"{file}: is for pictures of {values:,} values; wanted are at most {MOST_VALUES:,}")
    return config


def read_regular(file: Path, most: int) -> bytes:
    """The content of a file in a run folder; raises UserError where it is none, no file, or has over `most` bytes."""
    try:
        handle = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # opening a pipe would wait for ever
    except (FileNotFoundError, NotADirectoryError) as error:
        if file.name == CONFIG:
            raise UserError(
                f"{file.parent}: no classifier there; give a run folder, such as runs/default-s0-…"
            ) from error
        raise UserError(f"{file}: cannot be read: {error.strerror}") from error
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error.strerror}") from error
    try:
        told = os.fstat(handle)
        if not stat.S_ISREG(told.st_mode):
            raise UserError(f"{file}: is no regular file; wanted is the one that a training wrote")
        if told.st_size > most:
            raise UserError(f"{file}: has {told.st_size:,} bytes; wanted are at most {most:,}")
        with os.fdopen(handle, "rb", closefd=False) as content:
            return content.read(most)
    finally:
        os.close(handle)


def printable(text: str, most: int = 200) -> str:
    """Words of a stranger's, to be printed in a sentence: in one line, and not all of a novel."""
    return "".join(letter if letter.isprintable() else "�" for letter in text)[:most]

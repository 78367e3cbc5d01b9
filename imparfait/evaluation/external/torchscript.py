"""Loader of external TorchScript files, which torch.jit.save wrote; pickled networks are refused."""

# Runs in the sandbox. PyTorch parses the text of a TorchScript file's code and runs it in an interpreter of its own,
# without Python. Two operators of that interpreter touch files; a file that names them is refused. Such a file does
# not say which images it takes, so it is called with empty ones of common sizes.

import io
import pickletools
import re
import warnings
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from imparfait.core.errors import UserError
from imparfait.evaluation.external.archive import checked_archive
from imparfait.evaluation.external.base import DeclaredSpec
from imparfait.evaluation.external.torch_tensors import (
    EXPORT_HINT,
    ONNX_HINT,
    is_classification,
    not_classification,
    only_tensor,
    predictor,
)

SIDES = (28, 32, 48, 64, 96, 112, 128, 160, 192, 224, 256, 288, 299, 320, 384)  # pixels, of images to try
PROBE_BATCH = 2  # images
MAX_COMPRESSION = 200  # unpacked to stored bytes: the code of deep networks repeats itself
MAX_PICKLE_BYTES = 16 << 20  # of a pickle whose names are listed
FILE_OPERATORS = re.compile(r"\b(?:torch|ops\s*\.\s*aten)\s*\.\s*(save|from_file)\b")
SIGNATURE = re.compile(r"def forward\(\w+(?:: [\w.]+)?,?(.*?)\) -> ", re.DOTALL)
OF_TENSORS = re.compile(r"torch \w*Storage|torch\._utils _rebuild_\w+|collections OrderedDict|torch \w+|torch Size")
"""Names in the pickle of a state dictionary."""


def prepare() -> None:
    """Import PyTorch, save and load a small network."""
    import torch

    warnings.simplefilter("ignore", DeprecationWarning)  # of torch.jit, which says so at each call
    written = io.BytesIO()
    torch.jit.save(torch.jit.script(torch.nn.Linear(4, 2)), written)
    written.seek(0)
    torch.jit.load(written)(torch.zeros(1, 4))  # type: ignore[no-untyped-call]


def load(path: str, threads: int) -> tuple[dict[str, Any], Callable[[np.ndarray], np.ndarray]]:
    """What the file at `path` shows of itself when it is tried, and its function; raises UserError if refused."""
    with checked_archive(path, "TorchScript file", MAX_COMPRESSION) as archive:
        _check(archive)
    import torch

    torch.set_num_threads(threads)
    try:
        network = torch.jit.load(path, map_location="cpu").eval()  # type: ignore[no-untyped-call]
    except RuntimeError as error:
        raise UserError(f"cannot be loaded: {_first_line(error)}", hint="save the model again") from error
    _check_signature(network.code)
    dtype = next((each.dtype for each in network.parameters() if each.dtype.is_floating_point), torch.float32)
    shape, num_classes = _probed(network, dtype)
    declared = DeclaredSpec(shape=shape, num_classes=num_classes)
    return declared.model_dump(), predictor(network, dtype, shape[0] if shape else None)


def _check(archive: zipfile.ZipFile) -> None:
    names = archive.namelist()
    if any(name.rpartition("/")[2] in ("archive_format", "serialized_exported_program.json") for name in names):
        raise UserError("is an archive of torch.export", hint="give it a name that ends in .pt2")
    if not any(name.endswith("/constants.pkl") for name in names):
        pickled = next((name for name in names if name.endswith("/data.pkl")), None)
        if pickled is None:
            raise UserError("is a zip archive that PyTorch did not write", expected="a TorchScript file")
        with archive.open(pickled) as file:
            raise _not_torchscript(file.read(MAX_PICKLE_BYTES))
    for name in names:
        if "/code/" in name and name.endswith(".py"):
            found = FILE_OPERATORS.search(archive.read(name).decode("utf-8", "replace"))
            if found:
                raise UserError(f"uses the operator {found[1]}, which touches files", hint=ONNX_HINT)


def _not_torchscript(content: bytes) -> UserError:
    """The error for an archive with a pickle, which is listed and never loaded."""
    own = next((name for name in _names_in(content) if not OF_TENSORS.fullmatch(name)), None)
    if own is None:
        return UserError("holds weights without their network, a state dictionary", hint=EXPORT_HINT)
    return UserError(f"holds a pickled {own.replace(' ', '.')}, which runs code when it is loaded", hint=EXPORT_HINT)


def _names_in(content: bytes) -> Iterator[str]:
    """The functions and classes that a pickle names; ends where it is cut off or broken."""
    strings: list[str] = []
    try:
        for instruction, argument, _ in pickletools.genops(content):
            if instruction.name == "GLOBAL":
                yield str(argument)
            elif instruction.name == "STACK_GLOBAL":
                yield " ".join(strings[-2:])
            elif isinstance(argument, str):
                strings.append(argument)
    except ValueError:
        return


def _check_signature(code: str) -> None:
    """Raises UserError for a network that takes more or less than one tensor."""
    found = SIGNATURE.search(code)
    inputs = [each.strip() for each in re.split(r",(?![^\[]*\])", found[1]) if each.strip()] if found else []
    required = [each for each in inputs if "=" not in each]
    if len(required) != 1 or not required[0].endswith("Tensor"):
        takes = ", ".join(" ".join(each.split()) for each in required) or "no input"
        raise UserError(f"takes {takes}", expected="one tensor: the images", hint=ONNX_HINT)


def _probed(network: Any, dtype: Any) -> tuple[tuple[int | None, ...] | None, int | None]:
    """The shape of input that a network accepts, as far as trials show it, and how many classes it has."""
    other: list[tuple[int, ...]] = []
    for batch in (PROBE_BATCH, 1):
        fixed = None if batch > 1 else 1
        for shape, open_shape in _shapes(network):
            returned = _returned(network, (batch, *shape), dtype)
            if returned is None:
                continue
            if not is_classification(returned) or returned[0] != batch:
                other.append(returned)
                continue
            classes = returned[1] if len(returned) > 1 else None
            if open_shape is None:
                return (fixed, *shape), classes
            larger = tuple(2 * length if length in SIDES else length for length in shape)
            is_open = _returned(network, (batch, *larger), dtype) is not None
            return (fixed, *(open_shape if is_open else shape)), classes
    if other:
        raise not_classification(other[0])
    return None, None


def _shapes(network: Any) -> Iterator[tuple[tuple[int, ...], tuple[int | None, ...] | None]]:
    """Shapes to try, and what is declared where twice the side is accepted too."""
    for side in SIDES:
        for channels in (1, 3):
            yield (channels, side, side), (channels, None, None)
    for side in SIDES:
        for channels in (1, 3):
            yield (side, side, channels), (None, None, channels)
        yield (side, side), (None, None)
    first = next((each for each in network.parameters() if each.ndim >= 2), None)
    if first is not None and first.ndim == 2:
        yield (first.shape[1],), None


def _returned(network: Any, shape: tuple[int, ...], dtype: Any) -> tuple[int, ...] | None:
    """The shape of the output for empty images of a shape; None where it is no input for the network."""
    import torch

    try:
        with torch.no_grad():
            returned = network(torch.zeros(shape, dtype=dtype))
    except Exception:  # whatever an interpreter raises for a shape that does not fit
        return None
    return tuple(only_tensor(returned).shape)


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)

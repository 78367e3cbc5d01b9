"""External model files written and refused, and images for the models."""

from pathlib import Path

import numpy as np
import onnx
import pytest

from helpers.model_files import SIDE
from imparfait.core.errors import UserError
from imparfait.evaluation.external.load import open_external
from imparfait.evaluation.external.sandbox.client import SandboxLimits

IMAGES = np.random.default_rng(0).random((300, 1, SIDE, SIDE), np.float32)


def written(path: Path, model: onnx.ModelProto | bytes) -> Path:
    path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
    return path


def refused(path: Path, limits: SandboxLimits | None = None) -> str:
    """The error message for a file, after its name."""
    with pytest.raises(UserError) as error, open_external(path, limits=limits):
        pass
    message = str(error.value)
    assert message.startswith(f"{path}: ")
    assert message.isprintable()
    return message.removeprefix(f"{path}: ")

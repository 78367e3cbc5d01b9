"""Any model opened by its name: what is no run and no model file."""

from pathlib import Path

import numpy as np
import pytest

from imparfait.core.errors import UserError
from imparfait.data.dataset import LabelledImages
from imparfait.data.split_dataset import Dataset
from imparfait.inference.open_model import open_model


def test_a_function_in_a_python_file_is_a_model_whose_input_is_inferred(tmp_path: Path) -> None:
    """It takes 0..255, channels last, and predicts the class by the brightest row."""
    (tmp_path / "my_model.py").write_text(
        "def predict(images):\n"
        "    assert images.shape[3] == 1 and images.max() > 1.5\n"
        "    return (images[:, :3, 0, 0] > 127).astype('float32') * 9\n",
        encoding="utf-8",
    )
    labels = np.arange(120) % 3
    pixels = np.zeros((120, 1, 8, 8), np.uint8)
    pixels[np.arange(120), 0, labels, 0] = 255
    data = Dataset(LabelledImages(pixels, labels, np.arange(120), ("a", "b", "c"), "rows", "train"))
    found = open_model(f"{tmp_path}/my_model.py:predict", data)
    assert found.spec is not None
    assert (found.spec.spec.layout, found.spec.spec.value_range, found.spec.accuracy) == ("nhwc", "255", 1.0)
    assert found.name == "my_model.py:predict"
    with pytest.raises(UserError, match=r"no function called 'other' in it, it has predict"):
        open_model(f"{tmp_path}/my_model.py:other", data)

"""Any model opened by its name: what is no run and no model file."""

from pathlib import Path

import numpy as np
import pytest

from imparfait.core.errors import UserError
from imparfait.data.dataset import LabelledImages
from imparfait.data.split_dataset import Dataset
from imparfait.evaluation.external.input_spec import SpecHint
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


def own_function(folder: Path, body: str) -> str:
    """A function in a file that predicts the class by the brightest row, and `body` before it."""
    text = f"import sys\nimport numpy as np\n\n\ndef predict(images):\n    {body}\n    return images[:, 0, :3, 0]\n"
    (folder / "my_model.py").write_text(text, encoding="utf-8")
    return f"{folder}/my_model.py:predict"


def rows_data() -> Dataset:
    labels = np.arange(120) % 3
    pixels = np.zeros((120, 1, 8, 8), np.uint8)
    pixels[np.arange(120), 0, labels, 0] = 255
    return Dataset(LabelledImages(pixels, labels, np.arange(120), ("a", "b", "c"), "rows", "train"))


def test_a_constant_function_is_said_to_be_one_and_evaluated_where_its_input_is_stated(tmp_path: Path) -> None:
    model = own_function(tmp_path, "return np.tile([0.0, 1.0, 0.0], (len(images), 1))")
    with pytest.raises(UserError, match="predicts b for every image, with any input specification") as error:
        open_model(model, rows_data())
    assert error.value.hint.endswith("such as --layout nchw --range 1 --foreground light")
    stated = SpecHint("nchw", "1", "light")
    with open_model(model, rows_data(), spec=stated) as opened:
        assert opened(np.zeros((2, 1, 8, 8), np.float32)).argmax(1).tolist() == [1, 1]


@pytest.mark.parametrize("code", ["3", "None", "'no licence'"])
def test_a_function_that_ends_the_program_is_an_error_of_it(tmp_path: Path, code: str) -> None:
    model = own_function(tmp_path, f"sys.exit({code})")
    with pytest.raises(
        UserError, match=rf"my_model\.py:predict: the function ended in SystemExit: {code.strip(chr(39))}"
    ):
        open_model(model, rows_data())
    (tmp_path / "my_model.py").write_text(f"raise SystemExit({code})\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"my_model\.py: running it ended in SystemExit"):
        open_model(model, rows_data())

"""Input specifications: their names, and images converted to them."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from imparfait.core.errors import UserError
from imparfait.evaluation.external.input_spec import InputSpec, SpecHint, apply_spec


@pytest.mark.parametrize(
    ("hint", "message"),
    [
        ({"layout": "nchv"}, "no layout is called 'nchv'; did you mean 'nchw'"),
        ({"value_range": 256}, "no range is called '256'; did you mean '255'"),
        ({"foreground": "black"}, "no foreground is called 'black'; choose from light, dark"),
        ({"outputs": "logit"}, "no kind of output is called 'logit'; did you mean 'logits'"),
    ],
)
def test_a_misspelt_name_is_rejected_with_the_nearest(hint: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        SpecHint(**hint)


def test_images_are_converted_to_each_range_exactly() -> None:
    for name, low, high in (("1", 0, 1), ("255", 0, 255), ("-1..1", -1, 1), ("mnist", -0.4242, 2.8215)):
        batch = apply_spec(np.array([0, 1], np.float32).reshape(1, 1, 1, 2), InputSpec(value_range=name))
        assert batch.dtype == np.float32
        assert np.allclose(batch.ravel(), [low, high], atol=1e-4)
    for spec in (InputSpec(layout="nhw"), InputSpec(value_range="imagenet")):
        with pytest.raises(UserError, match=r"for images with 2 channels; expected [13] channel"):
            apply_spec(np.zeros((1, 2, 4, 4), np.float32), spec)


def test_specs_are_plain_values_that_compare() -> None:
    assert replace(InputSpec(), layout="flat") == InputSpec("flat", "1", "light", "logits")

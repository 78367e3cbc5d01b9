"""What the loaders of PyTorch's model files share: the one output of a network, and predicting in batches."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from imparfait.core.errors import UserError
from imparfait.evaluation.external.base import batches, checked_outputs

EXPORT_HINT = "where you made it, write: torch.export.save(torch.export.export(model, (images,)), 'model.pt2')"
ONNX_HINT = "where you made it, write: torch.onnx.export(model, (images,), 'model.onnx', external_data=False)"


def only_tensor(returned: Any) -> Any:
    """The tensor that a network returned, alone or as the only entry; raises UserError for several or none."""
    import torch

    value = returned
    while isinstance(value, tuple | list | dict) and len(value) == 1:
        value = next(iter(value.values())) if isinstance(value, dict) else value[0]
    if not isinstance(value, torch.Tensor):
        count = f"{len(value)} outputs" if isinstance(value, tuple | list | dict) else f"a {type(value).__name__}"
        raise UserError(f"returns {count}", expected="one: a number a class for each image", hint=ONNX_HINT)
    return value


def is_classification(shape: Sequence[Any]) -> bool:
    """Whether an output of this shape may be one number a class for each image, or a label."""
    return len(shape) >= 1 and all(length == 1 for length in shape[2:])


def not_classification(shape: Sequence[Any]) -> UserError:
    """The error for an output of another shape."""
    lengths = " by ".join(str(length) if isinstance(length, int) else "n" for length in shape)
    return UserError(f"returns an array of {lengths or 'no axis'}", expected="one number a class for each image")


def predictor(run: Callable[[Any], Any], dtype: Any, fixed: int | None) -> Callable[[np.ndarray], np.ndarray]:
    """`run`, from a tensor of `dtype` to what a network returns, as a function of arrays; `fixed` is its batch size."""
    import torch

    def predict(images: np.ndarray) -> np.ndarray:
        values = images if dtype.is_floating_point else np.rint(images).clip(0, 255)
        with torch.no_grad():
            parts = [
                only_tensor(run(torch.from_numpy(np.ascontiguousarray(batch)).to(dtype))).cpu()
                for batch in batches(values, fixed)
            ]
        outputs = torch.cat(parts)[: len(images)]
        labels = outputs.ndim == 1 and not outputs.dtype.is_floating_point
        return checked_outputs((outputs if labels else outputs.float()).numpy(), labels)

    return predict

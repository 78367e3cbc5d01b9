"""Pixels in the JSON of the Open Inference Protocol (version 2)."""

from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, Field, ValidationError

from imparfait.core.errors import UserError
from imparfait.core.types import Pixels

MAX_IMAGES = 256  # in a request


class InputTensor(BaseModel):
    """Images: uint8 values of shape [n, channels, height, width], flat or nested."""

    name: Literal["images"]
    shape: Annotated[list[int], Field(min_length=4, max_length=4)]
    datatype: Literal["UINT8"]
    data: list[Any]


class InferRequest(BaseModel):
    """The body of an inference request."""

    id: str | None = Field(None, max_length=200)
    inputs: Annotated[list[InputTensor], Field(min_length=1, max_length=1)]


def parse_request(content: bytes, shape: tuple[int, int, int]) -> tuple[str | None, Pixels]:
    """The id of a request, and its images; `shape` is channels, height and width.

    Raises UserError for anything else. 20 MB of JSON can take seconds and a gigabyte: in a worker there are limits.
    """
    try:
        asked = InferRequest.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        raise UserError(f"{'.'.join(map(str, first['loc'])) or 'the body'}: {first['msg']}") from error
    (tensor,) = asked.inputs
    if tuple(tensor.shape[1:]) != shape or not 1 <= tensor.shape[0] <= MAX_IMAGES:
        expected = f"[n, {', '.join(map(str, shape))}], n ≤ {MAX_IMAGES}"
        raise UserError(f"inputs.0.shape: {tensor.shape}", expected=expected)
    try:
        values = np.array(tensor.data)
        if (
            values.dtype.kind not in "iu"
            or values.size != np.prod(tensor.shape)
            or not 0 <= values.min() <= values.max() <= 255
        ):
            raise ValueError
    except (ValueError, OverflowError) as error:
        raise UserError("inputs.0.data", expected="as many whole numbers in 0..255 as the shape says") from error
    return asked.id, values.reshape(tensor.shape).astype(np.uint8)

"""Signatures of the public functions, as the documentation prints them."""

import inspect
import re
from typing import Any

IMAGES, LOGITS = "Float32[ndarray, 'n channels height width']", "Float32[ndarray, 'n classes']"
TENSOR = "Float[Tensor, 'n channels height width']"
ALIASES = {
    f"Callable[[{TENSOR}, float | Float[Tensor, 'n'], CounterRng], {TENSOR}]": "CorruptionFunction",
    f"Callable[[{IMAGES}], {LOGITS}]": "Classifier",
    "UInt8[ndarray, 'n channels height width']": "Pixels",
    LOGITS: "Probabilities",
    "Callable[[ndarray], Any]": "Function",
}
"""Types as the package calls them."""
SHORT_DEFAULT, WIDTH = 30, 100  # characters


def signature(function: Any) -> str:
    """The signature of a function, a parameter a line where it would be long."""
    found = inspect.signature(function)
    parameters = [
        each.replace(default=_Dots())
        if each.default is not each.empty and len(repr(each.default)) > SHORT_DEFAULT
        else each
        for each in found.parameters.values()
    ]
    text = str(found.replace(parameters=parameters))
    text = re.sub(r"(: |-> )(['\"])(.*?)\2(?=,| =|\)|$)", r"\1\3", text)  # annotations that are kept as text
    text = re.sub(r"\b(?:imparfait|jaxtyping|collections|pathlib|numpy|torch|typing|PIL)(?:\.\w+)*\.(\w+)", r"\1", text)
    for long, short in ALIASES.items():
        text = text.replace(long, short)
    return text


def indented(call: str) -> str:
    """A call as a block of code, a parameter a line where it is long."""
    if len(call) > WIDTH:
        head, _, rest = call.partition("(")
        depth, parameters = 0, [""]
        while depth >= 0:
            letter, rest = rest[0], rest[1:]
            depth += (letter in "([{") - (letter in ")]}")
            if letter == "," and depth == 0:
                parameters.append("")
            else:
                parameters[-1] += letter
        parameters[-1] = parameters[-1].removesuffix(")")
        call = "\n".join([f"{head}(", *(f"    {each.strip()}," for each in parameters), f"){rest}"])
    return "\n".join(f"    {line}" for line in call.splitlines())


class _Dots:
    """A default too long to print."""

    def __repr__(self) -> str:
        return "…"

"""Values that a setting cannot have, as one sentence: what came, what was expected, what to write."""

from collections.abc import Iterable
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from imparfait.core.errors import UserError


def setting_error(model: type[BaseModel], error: ValidationError, where: str = "") -> UserError:
    """The first mistake that a model of settings has found; `where` precedes its name, "--" makes it a flag."""
    first = error.errors(include_context=False)[0]
    name = ".".join(map(str, first["loc"]))
    shown = f"{where}{name.replace('_', '-') if where == '--' else name}"
    field = model.model_fields.get(str(first["loc"][0]) if first["loc"] else "")
    received = f"{shown} was given as {first['input']!r}"
    if field and field.examples and first["type"] == "string_pattern_mismatch":
        return UserError(received, expected=f"text such as {field.examples[0]}")
    if field is None or first["type"] == "string_pattern_mismatch":
        return UserError(received, hint=first["msg"][0].lower() + first["msg"][1:])
    expected = expected_of(field, inner=len(first["loc"]) > 1)
    if where != "--" or field.default in ("", {}, None):
        return UserError(received, expected=expected)
    return UserError(received, expected=expected, hint=f"such as {shown} {field.default}")


def expected_of(field: FieldInfo, inner: bool = False) -> str:
    """What a setting may be, as a noun phrase; `inner` is a value of a table."""
    kind: Any = field.annotation
    if get_origin(kind) is Literal:
        return " or ".join(map(str, get_args(kind)))
    metadata = field.metadata
    if inner:  # of dict[str, Annotated[int, …]]
        kind, *metadata = get_args(get_args(kind)[-1]) or (get_args(kind)[-1],)
    if kind not in (int, float):
        return {str: "text", dict: "a table"}.get(get_origin(kind) or kind, "another value")
    noun = "a whole number" if kind is int else "a number"
    low, above, high, below = (_limit(metadata, name) for name in ("ge", "gt", "le", "lt"))
    if kind is int and above is not None:
        low, above = above + 1, None
    if low is not None and high is None and below is None:
        return f"{noun} of {low:g} or more"
    parts = [f"from {low:g}" if low is not None else "", f"above {above:g}" if above is not None else ""]
    parts += [f"to {high:,}" if high is not None else "", f"and below {below:g}" if below is not None else ""]
    return " ".join([noun, *filter(None, parts)])


def _limit(metadata: Iterable[Any], name: str) -> float | None:
    return next((getattr(each, name) for each in metadata if hasattr(each, name)), None)

"""The search space: which settings a search varies, and their ranges."""

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import optuna.distributions as distributions
from pydantic import BaseModel, PositiveInt, ValidationError, model_validator

from imparfait.core.errors import UserError, lookup
from imparfait.models.custom import is_custom, load_custom
from imparfait.models.registry import MODELS
from imparfait.training.settings import TrainingSettings, changed, read_toml

Value = int | float | str


class Range(BaseModel, frozen=True, extra="forbid"):
    """Numbers from `low` to `high`: integers when both are, uniform in the logarithm with `log`."""

    low: int | float
    high: int | float
    log: bool = False
    step: PositiveInt | None = None

    @model_validator(mode="after")
    def _in_order(self) -> "Range":
        if self.low > self.high or (self.log and (self.low <= 0 or self.step)):
            raise ValueError("low must not be over high; with log, low must be over 0 and there is no step")
        if self.step and (self.high - self.low) % self.step:
            raise ValueError("high must be a whole number of steps above low")
        return self

    def __contains__(self, value: Value) -> bool:
        on_step = self.step is None or (not isinstance(value, str) and (value - self.low) % self.step == 0)
        return not isinstance(value, str) and self.low <= value <= self.high and on_step

    @property
    def ends(self) -> tuple[Value, ...]:
        """The values to check: if a setting can have these, it can have all."""
        return self.low, self.high

    def for_optuna(self) -> distributions.BaseDistribution:
        """As an Optuna distribution."""
        if isinstance(self.low, int) and isinstance(self.high, int):
            return distributions.IntDistribution(self.low, self.high, log=self.log, step=self.step or 1)
        return distributions.FloatDistribution(self.low, self.high, log=self.log, step=self.step)


class Choice(BaseModel, frozen=True, extra="forbid"):
    """One of these values."""

    of: tuple[Value, ...]

    def __contains__(self, value: Value) -> bool:
        return value in self.of

    @property
    def ends(self) -> tuple[Value, ...]:
        """The values to check: if a setting can have these, it can have all."""
        return self.of

    def for_optuna(self) -> distributions.BaseDistribution:
        """As an Optuna distribution."""
        return distributions.CategoricalDistribution(self.of)


Space = dict[str, Range | Choice]
"""Ranges and choices by setting; model arguments as "model_args.filters"."""


def _decays(decay: float) -> Range:
    return Range(low=decay / 10, high=decay * 10, log=True) if decay else Range(low=0.0, high=0.1)


# Ranges around a recipe's value: learning rates an eighth to four times as large, and so on. Epochs can be varied too
# (`--space`), but more are nearly always better, and a search that may buy accuracy with time does.
RANGES_AROUND: dict[str, Callable[[Any], Range | Choice]] = {
    "learning_rate": lambda rate: Range(low=rate / 8, high=rate * 4, log=True),
    "weight_decay": _decays,
    "label_smoothing": lambda share: Range(low=0.0, high=max(0.15, share)),
    "batch_size": lambda size: Choice(of=tuple(sorted({max(1, size // 2), size, 2 * size}))),
}


def model_args_of(model: str) -> dict[str, int]:
    """The integer arguments of a model, with their defaults."""
    factory = load_custom(model) if is_custom(model) else lookup("model", model, MODELS)
    parameters = inspect.signature(factory).parameters
    from_data = ("channels", "classes", "height", "width")
    return {name: p.default for name, p in parameters.items() if type(p.default) is int and name not in from_data}


def space_of(settings: TrainingSettings) -> Space:
    """Ranges around these settings, and half to twice each model argument, with its own value among the steps."""
    space: Space = {name: around(getattr(settings, name)) for name, around in RANGES_AROUND.items()}
    for name, value in (model_args_of(settings.model) | settings.model_args).items():
        half = max(1, value // 2)
        space[f"model_args.{name}"] = Range(low=half, high=2 * value, step=half if value == 2 * half else 1)
    return space


def read_space(path: Path, settings: TrainingSettings) -> tuple[Space, TrainingSettings]:
    """`space_of(settings)` as changed by a TOML file, and the settings with the values that it fixes.

    In the file a setting is `{low = 0.001, high = 0.1, log = true}`, a list of values, or a single value, which is then
    not varied; model arguments are in the table `[model_args]`. Raises UserError for an unknown setting or a value that
    the setting cannot have.
    """
    content = read_toml(path)
    model_args = content.pop("model_args", {})
    if not isinstance(model_args, Mapping):
        raise UserError(
            f"{path}: model_args was given as {model_args!r}", expected="a table [model_args], with filters = [16, 32]"
        )
    searchable = [name for name in TrainingSettings.model_fields if name not in ("model_args", "seed", "model")]
    for kind, names, known in (
        ("setting that can be searched", content, searchable),
        (f"argument of {settings.model}", model_args, list(model_args_of(settings.model))),
    ):
        for name in names:
            try:
                lookup(kind, name, dict.fromkeys(known))
            except UserError as error:
                raise UserError(f"{path}: {error}") from error
    space, fixed = space_of(settings), settings
    for name, value in (content | {f"model_args.{name}": value for name, value in model_args.items()}).items():
        if isinstance(value, Value):
            space.pop(name, None)
            fixed = with_values(fixed, {name: value}, f"{path}: ")
        else:
            space[name] = _read(value, f"{path}: {name}")
    check(space, fixed, f"{path}: ")
    return space, fixed


def with_values(settings: TrainingSettings, values: Mapping[str, Value], where: str = "") -> TrainingSettings:
    """The settings with these values from a space."""
    plain = {name: value for name, value in values.items() if not name.startswith("model_args.")}
    model_args = {
        name.removeprefix("model_args."): value for name, value in values.items() if name.startswith("model_args.")
    }
    return changed(settings, plain | {"model_args": settings.model_args | model_args}, where)


def values_of(settings: TrainingSettings, space: Space) -> dict[str, Value]:
    """The values that the settings have for the names in a space."""
    model_args = model_args_of(settings.model) | settings.model_args
    values = {name: model_args.get(name.removeprefix("model_args."), getattr(settings, name, None)) for name in space}
    return {name: value for name, value in values.items() if value is not None}


def check(space: Space, settings: TrainingSettings, where: str = "") -> None:
    """Raises UserError when the space is empty or holds a value that its setting cannot have."""
    if not space:
        raise UserError(f"{where}nothing is left to vary", hint="give a setting a range or a list of values")
    for name, values in space.items():
        for end in values.ends:
            with_values(settings, {name: end}, where)


def _read(value: Any, where: str) -> Range | Choice:
    try:
        return Choice(of=tuple(value)) if isinstance(value, list) and value else Range.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        reason = first["msg"].removeprefix("Value error, ")
        name = f"{first['loc'][0]}: " if first["loc"] else ""
        raise UserError(
            f"{where} was given as {value!r}: {name}{reason[0].lower()}{reason[1:]}",
            expected="{low = 0.001, high = 0.1, log = true} or a list of values",
        ) from error

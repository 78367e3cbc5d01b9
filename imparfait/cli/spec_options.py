"""The flags that say how an external model takes images, read into one value for the commands that open models."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from imparfait.cli import names
from imparfait.cli.parameters import values_of
from imparfait.core.errors import UserError

if TYPE_CHECKING:
    from imparfait.data.images.centre_crop import CentreCrop
    from imparfait.data.load import Dataset
    from imparfait.evaluation.external.input_spec import SpecHint

LAYOUTS = "nchw, nhwc, nhw, flat or flat-chw"
RANGES = "1, 255, -1..1, mnist or imagenet"
MAX_SIDE = 4096  # pixels
SIDE = click.IntRange(1, MAX_SIDE)


class Numbers(click.ParamType[Any]):
    """One number, or three with commas."""

    name = "A,B,C"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The numbers as a tuple."""
        try:
            return tuple(float(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r}; expected one number, or one for each channel, such as 0.485,0.456,0.406", param, ctx)


OPTIONS = (
    click.option(
        "--layout",
        shell_complete=values_of(names.LAYOUTS),
        help=f"Input layout of a model file: {LAYOUTS}.  [default: inferred]",
    ),
    click.option(
        "--range",
        "value_range",
        shell_complete=values_of(names.VALUE_RANGES),
        help=f"Input range of a model file: {RANGES}.  [default: inferred]",
    ),
    click.option("--mean", type=Numbers(), help="Mean per channel of a model file's input, of 0..1 or 0..255."),
    click.option("--std", type=Numbers(), help="Standard deviation per channel of a model file's input."),
    click.option("--color", type=click.Choice(["rgb", "bgr"]), help="Order of colours in a model file's input."),
    click.option(
        "--foreground",
        shell_complete=values_of(names.FOREGROUNDS),
        help="Foreground in a model file's input: light or dark.  [default: inferred]",
    ),
    click.option("--resize", type=SIDE, help="Bring the shorter side of images to this many pixels, before --crop."),
    click.option("--crop", type=SIDE, help="Keep the middle of images, a square of this side."),
    click.option("--pad", type=SIDE, help="Pad images to a square of this side with their background."),
    click.option(
        "--outputs",
        shell_complete=values_of(names.OUTPUTS),
        help="Output type: logits, probabilities, sigmoid or labels.  [default: inferred]",
    ),
    click.option(
        "--classes",
        metavar="NAMES|FILE",
        help="Names of a model file's outputs in order, with commas, or a file of one per line. Outputs that are none "
        "of the data's classes are left out.",
    ),
)


@dataclass(frozen=True)
class SpecFlags:
    """The flags as given."""

    layout: str | None
    value_range: str | None
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None
    color: str | None
    foreground: str | None
    resize: int | None
    crop: int | None
    pad: int | None
    outputs: str | None
    classes: str | None

    def centre(self, size: int | None) -> "CentreCrop | None":
        """What is done to image files before anything else; raises UserError beside --size and --pad."""
        if not (self.resize or self.crop):
            return None
        if size or self.pad:
            given = f"--size {size}" if size else f"--pad {self.pad}"
            raise UserError(
                f"{given} beside {'--resize' if self.resize else '--crop'}",
                expected="one way to bring images to a size",
                hint="--size stretches or pads whole images, --resize and --crop keep the middle",
            )
        from imparfait.data.images.centre_crop import CentreCrop

        return CentreCrop(self.resize, self.crop)

    def hint(self, dataset: "Dataset | None" = None) -> "SpecHint":
        """The part of the specification that was given; raises UserError for an unknown name and for wrong numbers.

        Image files of `dataset` are resized and cropped already; arrays are when the model predicts them.
        """
        from imparfait.evaluation.external.class_order import read_class_names
        from imparfait.evaluation.external.input_spec import SpecHint

        fits = {"pad": self.pad, "resize": self.resize, "crop": self.crop}
        given = {name: side for name, side in fits.items() if side}
        if dataset is None or dataset.files:
            given.pop("resize", None)
            given.pop("crop", None)
        if len(given) > 1:
            raise UserError(
                f"--{' and --'.join(given)} for arrays of images",
                expected="one of them, or image files in class folders",
            )
        fit, side = next(iter(given.items()), (None, None))
        classes = read_class_names(self.classes) if self.classes else None
        return SpecHint(
            self.layout, self.value_range, self.foreground, self.outputs, classes, self.mean, self.std, self.color,
            fit, side,
        )  # fmt: skip


def input_spec(command: Callable[..., None]) -> Callable[..., None]:
    """The flags of an external model's specification; the command gets them as its argument `spec`."""
    names = SpecFlags.__dataclass_fields__

    @functools.wraps(command)
    def with_flags(*args: Any, **values: Any) -> None:
        flags = SpecFlags(**{name: values.pop(name) for name in names})
        command(*args, **values, spec=flags)

    for option in reversed(OPTIONS):
        with_flags = option(with_flags)
    return with_flags

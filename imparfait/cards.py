"""What an exported classifier says of itself, written into its file."""

from typing import Annotated

from pydantic import BaseModel, Field, PositiveInt, ValidationError

from imparfait.configs import Input, Name, Sha256, Threshold, printable
from imparfait.errors import UserError

KEY = "imparfait"
"""Under which a card stands in a file's metadata, as JSON."""


class Parity(BaseModel, frozen=True, extra="forbid"):
    """How an exported file answered beside the classifier it was made from, on the same pictures."""

    pictures: PositiveInt
    same_label: Annotated[int, Field(ge=0)]
    largest: Annotated[float, Field(ge=0, le=1)]
    """The largest difference of any probability."""

    def __str__(self) -> str:
        return (
            f"the same label on {self.same_label:,} of {self.pictures:,} altered pictures, "
            f"each probability within {self.largest:.1e}"
        )


class Card(BaseModel, frozen=True, extra="forbid"):
    """An exported classifier.

    An ONNX file takes uint8 `[n, channels, height, width]`, a .keras file float32 `[n, height, width, channels]` in
    0..1; both answer calibrated probabilities.
    """

    name: Name
    model: Name
    """The network."""
    recipe: Name
    classes: tuple[Name, ...] = Field(min_length=1)
    input: Input
    temperature: float = Field(1.0, ge=0.01, le=100)
    """Already in the file's answers."""
    threshold: Threshold | None = None
    weights: Sha256
    """sha256 of the model.safetensors that it was made from."""
    settings: Sha256
    """Of all that decided the weights; it is in the run's settings.json."""
    parity: Parity | None = None


def card_from(text: str, name: str) -> Card:
    """The card in the metadata of a file that errors call `name`; raises UserError when it is none of ours."""
    try:
        return Card.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_input=False, include_context=False)[0]
        where = printable(".".join(map(str, first["loc"])))
        raise UserError(
            f"{name}: what it says of itself is not as imparfait writes it: {where}: {printable(first['msg'])}; "
            "export it again"
        ) from error

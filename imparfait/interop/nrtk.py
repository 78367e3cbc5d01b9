"""NRTK's image perturbers as corruptions of ours, and our corruptions as perturbers of images."""

# NRTK's interface is met by structure: nothing here imports nrtk, and nothing of it is needed.

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8

from imparfait.core.errors import UserError
from imparfait.core.rng import CounterRng
from imparfait.core.tensors import Images
from imparfait.corruptions import PHOTO, Corruption, Severity, corruption_named
from imparfait.corruptions.base import SEVERITY_LEVELS, SINGLE_LEVEL, as_column
from imparfait.transforms import Corrupt

Make = Callable[[float, int], Any]
"""From a severity and a seed to a perturber."""
MAX_SEED = (1 << 31) - 1


class NrtkPerturber:
    """A corruption where NRTK takes a PerturbImage: arrays `[height, width]` or `[height, width, 3]`.

    `name` is one of CORRUPTIONS or PHOTO_CORRUPTIONS, `severity` in 0..1. Random numbers are a function of `seed` and
    of the image's pixels, as in `imparfait.transforms.Corrupt`. Where NRTK checks the class itself, register it:
    `PerturbImage.register(NrtkPerturber)`. Raises UserError for boxes of objects that a corruption of geometry moves.
    """

    def __init__(self, name: str, severity: float, seed: int = 0) -> None:
        self._corrupt = Corrupt(name, severity, "photo" if name.startswith(PHOTO) else "digits", seed)

    def perturb(self, *, image: np.ndarray, boxes: Any = None, **metadata: Any) -> tuple[np.ndarray, Any]:
        """The corrupted image, of the type and shape of `image`, and the boxes; metadata of the image are not used."""
        if boxes is not None and corruption_named(self._corrupt.full_name).family == "geometry":
            raise UserError(f"boxes of objects with {self._corrupt.full_name}, which moves them", expected="no boxes")
        return self._corrupt(image), boxes

    __call__ = perturb

    def get_config(self) -> dict[str, Any]:
        """The arguments that make this perturber again."""
        return {
            "name": self._corrupt.full_name, "severity": self._corrupt.severity, "seed": self._corrupt.seed
        }  # fmt: skip

    @classmethod
    def from_config(cls, config_dict: dict[str, Any], merge_default: bool = True) -> "NrtkPerturber":
        """The perturber of `get_config`."""
        return cls(**config_dict)

    @classmethod
    def get_type_string(cls) -> str:
        """Module and name of this class."""
        return f"{cls.__module__}.{cls.__name__}"


def corruption_of(name: str, perturbers: Any) -> Corruption:
    """NRTK perturbers as a corruption called `name`, for the `suite` of `evaluate`.

    `perturbers` is a function from a severity in 0..1 and a seed to a perturber, as in
    `lambda severity, seed: BrightnessPerturber(factor=1 - 0.8 * severity)`; or a factory or sequence of five, one for
    each severity 0.2, 0.4, 0.6, 0.8 and 1; or a single one, for severity 1. The seed is a function of the image's id:
    a random perturber that takes it gives an image the same pixels in any order. Grey images are handed over as
    `[height, width]`, colour images as `[height, width, 3]`, uint8. Severity 0 changes nothing.
    Raises UserError where a perturber returns an image of another size or type.
    """
    make, levels = _by_severity(name, perturbers)

    def perturb(images: Images, severity: Severity, rng: CounterRng) -> Images:
        severities = as_column(severity, images).tolist()
        seeds = (rng.bits(name) & MAX_SEED).tolist()
        changed = images.clone()
        for row, (level, seed) in enumerate(zip(severities, seeds, strict=True)):
            if level > 0:
                pixels = images[row].mul(255).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()
                perturbed = _perturbed(name, make(level, seed), pixels)
                changed[row] = torch.from_numpy(perturbed).to(images).permute(2, 0, 1) / 255
        return changed

    perturb.__name__ = name
    perturb.__doc__ = "Apply a perturber of NRTK."
    return Corruption(perturb, None, levels=levels)


def _by_severity(name: str, perturbers: Any) -> tuple[Make, tuple[float, ...]]:
    if hasattr(perturbers, "perturb"):
        return lambda severity, seed: perturbers, SINGLE_LEVEL
    if hasattr(perturbers, "__len__"):
        each: Sequence[Any] = [perturbers[number] for number in range(len(perturbers))]
        if len(each) != len(SEVERITY_LEVELS):
            raise UserError(
                f"{name}: {len(each)} perturbers", expected=f"{len(SEVERITY_LEVELS)}, for the severities of a suite"
            )
        return lambda severity, seed: each[int(np.searchsorted(SEVERITY_LEVELS, severity - 1e-9))], SEVERITY_LEVELS
    if callable(perturbers):
        return perturbers, SEVERITY_LEVELS
    raise UserError(
        f"{name}: a {type(perturbers).__name__}", expected="a perturber, five of them, or a function that makes one"
    )


def _perturbed(
    name: str, perturber: Any, pixels: UInt8[np.ndarray, "height width channels"]
) -> UInt8[np.ndarray, "height width channels"]:
    given = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    found = np.asarray(perturber(image=np.ascontiguousarray(given))[0])
    if found.shape not in (given.shape, pixels.shape) or found.dtype != np.uint8:
        raise UserError(
            f"{name}: the perturber returned {found.dtype} of shape {found.shape} for an image of shape {given.shape}",
            expected="uint8 of the same shape",
        )
    return np.array(found.reshape(pixels.shape))

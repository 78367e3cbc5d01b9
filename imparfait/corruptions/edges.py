"""Corruptions that reduce strokes to their edges."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Float64
from torch import Tensor

from imparfait.core import tensors
from imparfait.core.rng import CounterRng
from imparfait.core.tensors import Images
from imparfait.corruptions.base import Severity, exact, on_device, on_host, unchanged_where_zero
from imparfait.corruptions.smooth_noise import gaussians
from imparfait.corruptions.stroke_width import dilated

# scikit-image's defaults, as in MNIST-C.
CANNY_SIGMA_PX = 1.0  # pixels
CANNY_LOW, CANNY_HIGH = 0.1, 0.2  # thresholds on the gradient magnitude, which is 2.6 at a step from 0 to 1
ROUNDS_ELSEWHERE = 8  # of hysteresis, until the CPU asks another device whether it was the last; not measured
OUTLINE_WIDTH = 1.0 / 28  # share of the shorter side

Planes = Float[Tensor, "n channels height width"]
Mask = Bool[Tensor, "n channels height width"]


def canny_edges(images: Images, severity: Severity, rng: CounterRng) -> Images:
    """Replace the image by its Canny edges: one pixel wide, white on black.

    Without degrees: any severity above 0 is the full effect. Channels are independent. Uses no randomness.
    Source: MNIST-C (Mu & Gilmer 2019); agrees closely with `skimage.feature.canny`.
    """
    # Comparisons decide the result, so float32 images are computed in float64 too.
    down, right = _gradient(images.to(exact(images)))
    length = (down.square() + right.square()).sqrt()
    ridge = _ridge(down, right, length)
    weak = ridge & (length >= CANNY_LOW)
    strong = ridge & (length >= CANNY_HIGH)
    return unchanged_where_zero(severity, images, _hysteresis(strong, weak).to(images.dtype))


def outline(images: Images, severity: Severity, rng: CounterRng) -> Images:
    """Hollow out the strokes, as in bubble letters.

    Severity s removes the share s of the strokes' brightness, while an outline grows around them, up to 1/28 of the
    shorter side at 0.5. At 1 only the outline is left. Uses no randomness.
    Source: the outer morphological gradient. Not in MNIST-C.
    """
    x, amount = images.float(), on_host(severity, images).float().clamp(max=1)
    broader = dilated(x, (2 * amount).clamp(max=1) * (OUTLINE_WIDTH * min(images.shape[-2:])))
    hollow = broader - x * on_device(amount, images)[:, None, None, None]
    return unchanged_where_zero(severity, images, hollow.to(images.dtype))


def _gradient(images: Planes) -> tuple[Planes, Planes]:
    """Sobel derivatives (down, right; 8 times the slope) of the smoothed images."""
    (down, smooth_down), (right, smooth_right) = (
        on_device(_derivative(side).to(images.dtype), images) for side in images.shape[-2:]
    )
    return down @ images @ smooth_right.mT, smooth_down @ images @ right.mT


def _derivative(side: int) -> Float64[Tensor, "2 side side"]:
    """Two matrices of one axis: Sobel's difference and smoothing, after a Gaussian normalised within the image."""
    gaussian = gaussians(torch.tensor([CANNY_SIGMA_PX], dtype=torch.float64), side)[0]
    before, after = gaussian[[0, *range(side - 1)]], gaussian[[*range(1, side), side - 1]]  # the edge is repeated
    return torch.stack([after - before, before + 2 * gaussian + after])


def _ridge(down: Planes, right: Planes, length: Planes) -> Mask:
    """Non-maximum suppression: pixels whose gradient is not below its interpolated neighbours along the slope.

    The outermost pixels are excluded, because their outer neighbours are unknown.
    """
    height, width = length.shape[-2:]
    padded = F.pad(length, (1, 1, 1, 1))

    def moved(rows: int, columns: int) -> Planes:
        return padded[..., 1 + rows : 1 + rows + height, 1 + columns : 1 + columns + width]

    falling = down * right >= 0  # the slope goes towards the lower right, or the upper left
    steep = down.abs() > right.abs()
    share = torch.minimum(down.abs(), right.abs()) / torch.maximum(down.abs(), right.abs()).clamp(min=1e-12)
    ridge = torch.ones_like(falling)
    for way in (1, -1):
        diagonal = torch.where(falling, moved(way, way), moved(-way, way))
        upright = torch.where(falling, moved(way, 0), moved(-way, 0))
        neighbour = torch.where(steep, upright, moved(0, way))
        # A tie counts as a ridge; the margin exceeds the error of float32 pixels.
        ridge &= neighbour + share * (diagonal - neighbour) <= length + 1e-6
    ridge[..., :1, :] = ridge[..., -1:, :] = False
    ridge[..., :1] = ridge[..., -1:] = False
    return ridge


def _hysteresis(strong: Mask, weak: Mask) -> Mask:
    """Hysteresis: the strong pixels, and the weak ones connected to them.

    The one corruption of digits whose steps depend on the pixels, so that the CPU waits for another device.
    """
    rounds = 1 if tensors.on_cpu(strong) else ROUNDS_ELSEWHERE
    while True:
        before = strong
        for _ in range(rounds):
            rows = F.pad(strong, (0, 0, 1, 1))
            rows = rows[..., :-2, :] | rows[..., 1:-1, :] | rows[..., 2:, :]
            both = F.pad(rows, (1, 1))
            strong = weak & (both[..., :-2] | both[..., 1:-1] | both[..., 2:])
        if torch.equal(strong, before):
            return strong

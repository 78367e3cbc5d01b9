"""Geometry of the photo suite: elastic deformation, rotation, crop, occlusion."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from imparfait.core import tensors
from imparfait.core.rng import CounterRng
from imparfait.core.tensors import Images
from imparfait.corruptions.base import constants, exact, on_device
from imparfait.corruptions.photo.filters import crops, gaussian_blur, uniform
from imparfait.corruptions.photo.levels import Curve, by_level

ELASTIC_AMPLITUDE = Curve(0, (488, 488, 12.2, 17.08, 29.28), (0, 3.2, 6.4, 6.4, 10.24), (0, 1.6, 2.56, 3.2, 3.2), True)
ELASTIC_SIGMA = Curve(
    0, (170.8, 19.52, 2.44, 2.44, 2.44), (0, 19.2, 5.12, 1.92, 1.92), (0, 6.4, 1.92, 1.28, 0.96), True
)
ELASTIC_AFFINE = Curve(
    0, (24.4, 48.8, 4.88, 4.88, 4.88), (5.12, 3.84, 3.84, 1.92, 1.28), (2.56, 2.24, 1.92, 1.6, 0.96), True
)
ROTATION = Curve(0, (4, 8, 14, 22, 32))  # degrees
CROP = Curve(1, (0.9, 0.8, 0.7, 0.6, 0.5))  # of the side
OCCLUSION = Curve(0, (0.2, 0.3, 0.4, 0.5, 0.6))  # of the shorter side
COARSE_SIGMA = 1.25  # pixels of the coarse grid on which a displacement is smoothed
SMOOTH_SHARE = 0.375  # of the shorter side: a sigma above is as good as a constant displacement


@by_level
def elastic_transform(images: Images, level: float, rng: CounterRng) -> Images:
    """Deform each image: a random affine map, and a smooth random displacement of every pixel.

    Amplitude, sigma and affine displacement in pixels at levels 1 to 5, at 224 pixels: (488, 171, 24), (488, 20, 49),
    (12, 2.4, 5), (17, 2.4, 5), (29, 2.4, 5): the first two are large and smooth, the others fine. Source: ImageNet-C.
    """
    height, width = images.shape[-2:]
    matrix = _affine(
        uniform(rng, "corners of the affine map", 3, 2).to(exact(images)),
        ELASTIC_AFFINE.at(level, images),
        height,
        width,
    )
    moved = _displacement(rng, ELASTIC_AMPLITUDE.at(level, images), ELASTIC_SIGMA.at(level, images), height, width)
    places = moved.add_(_mapped(matrix.float(), height, width))
    return _sampled(images, places)


@by_level
def rotate(images: Images, level: float, rng: CounterRng) -> Images:
    """Rotate each image about its centre, clockwise or counter-clockwise; it is mirrored beyond its edges.

    Angle at levels 1 to 5: 4, 8, 14, 22, 32 degrees. Not in ImageNet-C; the levels are this package's.
    """
    height, width = images.shape[-2:]
    angle = math.radians(ROTATION.at(level, images))
    middle = torch.tensor([(width - 1) / 2, (height - 1) / 2])
    ways = []
    for cos, sin in ((math.cos(angle), math.sin(angle)), (math.cos(angle), -math.sin(angle))):
        turn = torch.tensor([[cos, -sin], [sin, cos]])
        ways.append(torch.cat([turn, (middle - turn @ middle)[:, None]], 1))
    matrix = on_device(torch.stack(ways), images)[(rng.uniform("way of the rotation") < 0.5).long()]
    return _sampled(images, _mapped(matrix, height, width))


@by_level
def crop(images: Images, level: float, rng: CounterRng) -> Images:
    """Cut out a part at a random position and enlarge it to the image's size.

    Share of each side at levels 1 to 5: 0.9, 0.8, 0.7, 0.6, 0.5. Not in ImageNet-C; the levels are this package's.
    """
    height, width = images.shape[-2:]
    tall, wide = (max(2, round(side * CROP.at(level, images))) for side in (height, width))
    corner = rng.uniform("corner of the crop", 2).to(exact(images))
    tops, lefts = ((corner[:, i] * (free + 1)).long() for i, free in enumerate((height - tall, width - wide)))
    return F.interpolate(crops(images, tops, lefts, tall, wide), (height, width), mode="bilinear", align_corners=False)


@by_level
def occlusion(images: Images, level: float, rng: CounterRng) -> Images:
    """Cover a square of one random colour at a random position.

    Side at levels 1 to 5: 0.2, 0.3, 0.4, 0.5, 0.6 of the shorter side. Not in ImageNet-C; the levels are this
    package's.
    """
    height, width = images.shape[-2:]
    side = max(1, round(OCCLUSION.at(level, images) * min(height, width)))
    place = rng.uniform("place and colour of the square", 2 + images.shape[1]).to(images.dtype)
    tops, lefts = ((place[:, i].to(exact(images)) * (free - side + 1)).long() for i, free in enumerate((height, width)))
    if tensors.on_cpu(images):  # only the square is written
        covered = images.clone()
        for image, top, left, drawn in zip(covered, tops.tolist(), lefts.tolist(), place, strict=True):
            image[:, top : top + side, left : left + side] = drawn[2:, None, None]
        return covered
    tops, lefts = tops[:, None], lefts[:, None]
    rows, columns = (torch.arange(length, device=images.device) for length in (height, width))
    tall, wide = (tops <= rows) & (rows < tops + side), (lefts <= columns) & (columns < lefts + side)
    return torch.where((tall[:, :, None] & wide[:, None])[:, None], place[:, 2:, None, None], images)


def _affine(share: Float[Tensor, "n 3 2"], reach: float, height: int, width: int) -> Float[Tensor, "n 2 3"]:
    """Maps from pixels (x, y, 1) of the result to the image: three points about the centre move by up to `reach`."""
    middle, arm = torch.tensor([height // 2, width // 2]), min(height, width) // 3
    before = constants((middle + torch.tensor([[arm, arm], [arm, -arm], [-arm, -arm]])).tolist(), share)
    after = before + reach * (2 * share - 1)
    ones = share.new_ones(len(share), 3, 1)
    # Without the check that it can be solved, for which the CPU would wait for another device.
    matrix: Tensor = torch.linalg.solve_ex(torch.cat([after, ones], 2), before.expand(len(share), -1, -1))[0]
    return matrix.mT


def _mapped(matrix: Float[Tensor, "n 2 3"], height: int, width: int) -> Float[Tensor, "n height width 2"]:
    """Where each pixel of the result comes from: (x, y) in pixels."""
    rows, columns = (torch.arange(side, device=matrix.device)[:, None] for side in (height, width))
    by_column = matrix[:, None, None, :, 0] * columns
    by_row = matrix[:, None, None, :, 1] * rows[:, None] + matrix[:, None, None, :, 2]
    return by_column + by_row


def _displacement(
    rng: CounterRng, amplitude: float, sigma: float, height: int, width: int
) -> Float[Tensor, "n height width 2"]:
    """Uniform noise smoothed with a Gaussian of `sigma` pixels, times `amplitude`; made on a coarser grid if smooth."""
    n, shorter = len(rng.sources), min(height, width)
    if amplitude == 0:
        return torch.zeros(n, height, width, 2, device=rng.sources.device)
    sigma = min(max(sigma, 0.05), SMOOTH_SHARE * shorter)
    cell = max(1.0, sigma / COARSE_SIGMA)  # pixels
    tall, wide = (max(2, math.ceil(side / cell) + (cell > 1)) for side in (height, width))
    noise = uniform(rng, "displacement", 2, tall, wide).mul_(2 * amplitude / cell).sub_(amplitude / cell)
    smooth = gaussian_blur(noise, sigma / cell)
    if cell > 1:
        # Between the points of the grid the field is their mean, of a smaller spread: made up for on average.
        kept = (2 + math.exp(-((cell / sigma) ** 2) / 4)) / 3
        smooth = F.interpolate(smooth.div_(kept), (height, width), mode="bilinear", align_corners=True)
    field: Tensor = smooth.permute(0, 2, 3, 1)
    return field


def _sampled(images: Images, places: Float[Tensor, "n height width 2"]) -> Images:
    """Each image at these places (x, y) in pixels, bilinearly; it is mirrored beyond its edges."""
    height, width = images.shape[-2:]
    scale = constants([2 / (width - 1), 2 / (height - 1)], images)
    return F.grid_sample(images, places.mul(scale).sub_(1), padding_mode="reflection", align_corners=True)

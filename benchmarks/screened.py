"""What `screen.py` tries of networks: `petit` with one thing more or other.

Nothing here is part of the package; what is kept goes there.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import imparfait
from imparfait.core.tensors import Images
from imparfait.models.petit import Look, Residual, stage


class MovedLook(Look):
    """`Look`, erring by as much as told, and bending what it sees."""

    def __init__(
        self,
        frame: int,
        *,
        turn: float = 0.0,
        stretch: float = 0.0,
        slant: float = 0.0,
        move: float = 0.0,
        bend: float = 0.0,
    ):
        super().__init__(frame)
        self.turn, self.stretch, self.slant, self.move, self.bend = turn, stretch, slant, move, bend

    def place(self, images: Images) -> tuple[Tensor, Tensor]:
        """As `Look` has it."""
        if not self.training:
            return super().place(images)
        line = torch.arange(self.frame, dtype=images.dtype) - (self.frame - 1) / 2
        right, down = line[None, None, :], line[None, :, None]

        def drawn(most: float) -> Tensor:
            return (2 * torch.rand(len(images), 1, 1, dtype=images.dtype) - 1) * most

        angle = drawn(math.radians(self.turn))
        cos, sin = angle.cos(), angle.sin()
        u = (1 + drawn(self.stretch)) * (cos * right - sin * down) + drawn(self.move)
        v = (1 + drawn(self.stretch)) * (sin * right + cos * down) + drawn(self.move)
        u = u + drawn(self.slant) * v
        if self.bend:
            field = torch.randn(len(images), 2, 5, 5, dtype=images.dtype) * self.bend
            field = F.interpolate(field, size=(self.frame, self.frame), mode="bicubic", align_corners=True)
            u, v = u + field[:, 0], v + field[:, 1]
        return u, v


class Former(nn.Module):
    """`petit` as it was when these ideas were tried: two stages, the second strided, `depth` residual ones in each."""

    def __init__(self, *, channels: int, classes: int, filters: int, depth: int, frame: int):
        super().__init__()
        self.look: nn.Module = Look(frame)
        self.normalise = nn.BatchNorm2d(channels, affine=False)
        self.fours = nn.PixelUnshuffle(2)
        self.strokes = stage(4 * channels, filters, depth + 1)
        self.shapes = stage(filters, 2 * filters, depth + 1)
        self.shapes[0][0].stride = (2, 2)
        self.head: nn.Module = nn.Linear(4 * filters, classes)

    def forward(self, images: Images) -> Tensor:
        shapes = self.shapes(self.strokes(self.fours(self.normalise(self.look(images)))))
        return self.head(torch.cat([shapes.amax((2, 3)), shapes.mean((2, 3))], 1))


class Squeeze(nn.Module):
    """Weighs channels by what is in the whole picture. Source: Hu et al., "Squeeze-and-excitation networks", 2018."""

    def __init__(self, width: int):
        super().__init__()
        self.weigh = nn.Sequential(nn.Linear(width, width // 4), nn.ReLU(), nn.Linear(width // 4, width), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        return x * 2 * self.weigh(x.mean((2, 3)))[:, :, None, None]


class Blur(nn.Module):
    """Half the size after a blur. Source: Zhang, "Making convolutional networks shift-invariant again", 2019."""

    def __init__(self, width: int):
        super().__init__()
        row = torch.tensor([1.0, 2.0, 1.0]) / 4
        self.register_buffer("filter", (row[:, None] * row)[None, None].repeat(width, 1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), self.filter.to(x.dtype), stride=2, groups=x.shape[1])


class Cut(nn.Module):
    """While learning, blanks a square of each picture. Source: DeVries & Taylor, "Cutout", 2017."""

    def __init__(self, side: int):
        super().__init__()
        self.side = side

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        n, _, height, width = x.shape
        top, left = torch.randint(height, (n, 1)), torch.randint(width, (n, 1))
        rows = (torch.arange(height) - top).abs() <= self.side // 2
        columns = (torch.arange(width) - left).abs() <= self.side // 2
        return x.masked_fill((rows[:, :, None] & columns[:, None, :])[:, None], 0)


def candidate(
    *,
    channels: int,
    classes: int,
    filters: int = 32,
    depth: int = 2,
    frame: int = 24,
    look: dict[str, float] | None = None,
    change: Callable[[Former], None] | None = None,
) -> Former:
    """`petit` as it was, with a look that moves, and changed as told."""
    model = Former(channels=channels, classes=classes, filters=filters, depth=depth, frame=frame)
    if look:
        model.look = MovedLook(frame, **look)
    if change:
        change(model)
    return model


def squeezed(model: Former) -> None:
    for name in ("strokes", "shapes"):
        old = getattr(model, name)
        setattr(model, name, nn.Sequential(*old, Squeeze(old[0][0].out_channels)))


def blurred(model: Former) -> None:
    first = model.shapes[0]
    conv = first[0]
    conv.stride = (1, 1)
    model.shapes[0] = nn.Sequential(*first, Blur(conv.out_channels))


def halved(by: Callable[[int], nn.Module]) -> Callable[[Former], None]:
    """Half the size before the second stage's first convolution, which then costs what a strided one does."""

    def change(model: Former) -> None:
        first = model.shapes[0]
        first[0].stride = (1, 1)
        model.shapes[0] = nn.Sequential(by(first[0].in_channels), *first)

    return change


def together(*changes: Callable[[Former], None]) -> Callable[[Former], None]:
    """One change after the other."""

    def change(model: Former) -> None:
        for each in changes:
            each(model)

    return change


def mean_first(model: Former) -> None:
    """Half the size by means of four, then a convolution."""
    halved(lambda width: nn.AvgPool2d(2))(model)


def third(model: Former) -> None:
    """A third stage, of a convolution and a residual one, at a quarter of the second's places."""
    width = model.shapes[-1].find[0].out_channels
    model.shapes = nn.Sequential(*model.shapes, nn.AvgPool2d(2), *stage(width, 2 * width, 2))
    model.head = nn.Linear(2 * model.head.in_features, model.head.out_features)


def cut(side: int) -> Callable[[Former], None]:
    def change(model: Former) -> None:
        model.look = nn.Sequential(model.look, Cut(side))  # type: ignore[assignment]

    return change


def pooled(which: str) -> Callable[[Former], None]:
    """Only the mean or the largest of each channel reaches the head."""

    def change(model: Former) -> None:
        width = model.head.in_features // 2
        model.head = nn.Linear(width, model.head.out_features)

        def forward(images: Images) -> Tensor:
            fours = model.fours(model.normalise(model.look(images)))
            shapes = model.shapes(model.strokes(fours))
            return model.head(shapes.mean((2, 3)) if which == "mean" else shapes.amax((2, 3)))

        model.forward = forward  # type: ignore[method-assign]

    return change


def dropped_between(share: float) -> Callable[[Former], None]:
    """Whole channels, between the stages."""

    def change(model: Former) -> None:
        model.strokes = nn.Sequential(*model.strokes, nn.Dropout2d(share))

    return change


def dropped(share: float) -> Callable[[Former], None]:
    def change(model: Former) -> None:
        model.head = nn.Sequential(nn.Dropout(share), model.head)  # type: ignore[assignment]

    return change


class Standardised(nn.Conv2d):
    """A convolution whose filters have mean 0 and a variance that keeps activations' scale: no pass to normalise them.

    Source: Brock et al., "Characterizing signal propagation to close the performance gap in unnormalized ResNets",
    2021.
    """

    def __init__(self, old: nn.Conv2d):
        super().__init__(old.in_channels, old.out_channels, 3, old.stride, padding=1)
        self.gain = nn.Parameter(torch.ones(old.out_channels, 1, 1, 1))
        self.keep = math.sqrt(2 / (1 - 1 / math.pi)) / math.sqrt(old.weight[0].numel())  # after a ReLU

    def forward(self, x: Tensor) -> Tensor:
        apart, mean = torch.std_mean(self.weight, (1, 2, 3), keepdim=True, correction=0)
        weight = (self.weight - mean) / (apart + 1e-5) * (self.keep * self.gain)
        return F.conv2d(x, weight, self.bias, self.stride, padding=1)


def unnormalised(model: Former) -> None:
    """Filters are normalised, activations are not; what a residual convolution finds counts half at first."""
    for block in [m for m in model.modules() if isinstance(m, nn.Sequential) and isinstance(m[0], nn.Conv2d)]:
        block[0], block[1] = Standardised(block[0]), nn.Identity()
    for found in (m.find[0] for m in model.modules() if isinstance(m, Residual)):
        nn.init.constant_(found.gain, 0.5)


def whitened(model: Former) -> None:
    """The first filters are the patches' principal components and their negatives, of equal variance, and do not learn.

    Source: Jordan, "94 % on CIFAR-10 in 3.29 seconds on a single GPU", 2024.
    """
    first = model.strokes[0][0]
    pixels = torch.from_numpy(imparfait.split(imparfait.load_data("mnist").train)[0].pixels[:2000]) / 255
    with torch.no_grad():
        seen = model.eval().fours(model.look(pixels))
        seen = (seen - seen.mean()) / seen.std()
        patches = F.unfold(seen, 3, padding=1).transpose(1, 2).flatten(0, 1)
        values, vectors = torch.linalg.eigh(patches.T @ patches / len(patches))
        half = first.out_channels // 2
        filters = (vectors[:, -half:] / (values[-half:] + 5e-4).sqrt()).T.reshape(half, *first.weight.shape[1:])
        first.weight.copy_(torch.cat([filters, -filters]))
    first.weight.requires_grad_(False)
    model.train()

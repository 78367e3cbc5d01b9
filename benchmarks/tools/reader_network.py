"""The network of the page reader: its layers, and its file for ONNX Runtime.

The network is fully convolutional. At a quarter of the resolution it gives eleven heat maps (ten digits, other glyphs)
whose peaks are the glyphs' centres, and for each centre the logarithms of width and height and the offset to the exact
centre. Source: CenterNet (Zhou, Wang & Krähenbühl, 2019).
"""

from collections.abc import Iterable
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from reader_files import weights_of, write_onnx
from torch import Tensor, nn

OTHER = 10
"""The label of any other glyph."""


class Detector(nn.Module):
    """Heat maps and boxes of glyphs, from grey pages [n, 1, height, width] in 0..1; sides are multiples of 8."""

    def __init__(self, width: int = 80, blocks: int = 4):
        super().__init__()
        self.stem = nn.Sequential(convolution(1, 16, stride=2), convolution(16, 32, stride=2), convolution(32, 48))
        self.down = convolution(48, width, stride=2)
        self.body = nn.Sequential(*(Block(width, 1 + number % 2) for number in range(blocks)))
        self.up = nn.Conv2d(width, 48, 1, bias=False)
        self.join = convolution(48, 48)
        self.heat = nn.Conv2d(48, OTHER + 1, 1)
        self.box = nn.Conv2d(48, 4, 1)
        nn.init.constant_(self.heat.bias, -4.6)  # type: ignore[arg-type]  # a hundredth of all places are centres

    def forward(self, pages: Float[Tensor, "n 1 height width"]) -> tuple[Tensor, Tensor]:
        """Logits of the heat maps, and log width, log height (in strides), offset right and down (in strides)."""
        fine = self.stem(pages * 2 - 1)
        coarse = self.body(self.down(fine))
        joined = self.join(fine + F.interpolate(self.up(coarse), scale_factor=2.0, mode="nearest"))
        return self.heat(joined), self.box(joined)


class Block(nn.Module):
    """A residual block of two convolutions."""

    def __init__(self, width: int, dilation: int):
        super().__init__()
        self.first = convolution(width, width, dilation=dilation)
        self.second = nn.Sequential(nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        """The same shape as the input."""
        return F.relu(x + self.second(self.first(x)))


def convolution(before: int, after: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """3×3 convolution, batch normalisation, ReLU."""
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride, dilation, dilation, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(inplace=True),
    )


class Exported(nn.Module):
    """The detector as the package runs it: the best score where it is a peak, all scores, and the boxes."""

    def __init__(self, detector: nn.Module):
        super().__init__()
        self.detector = detector

    def forward(self, page: Float[Tensor, "1 1 height width"]) -> tuple[Tensor, Tensor, Tensor]:
        """Peaks [1, rows, columns], scores [1, 11, rows, columns], boxes [1, 4, rows, columns]."""
        heat, boxes = self.detector(page)
        scores = torch.sigmoid(heat)
        best = scores.amax(1)
        highest = F.max_pool2d(best[:, None], 3, 1, 1)[:, 0]
        return torch.where(best == highest, best, torch.zeros_like(best)), scores, boxes


def averaged(state: Path) -> dict[str, Tensor]:
    """The averaged weights of a training."""
    saved = torch.load(state, weights_only=True)["average"]
    return {name.removeprefix("module."): value for name, value in saved.items() if name != "n_averaged"}


def export(state: Path, out: Path) -> None:
    """Write the averaged network of a training as ONNX."""
    from imparfait.inference.ocr.detector import BOXES, PAGE, PEAKS, SCORES

    network = Detector()
    network.load_state_dict(averaged(state))
    rows, columns = torch.export.Dim("rows", min=2, max=4096), torch.export.Dim("columns", min=2, max=4096)
    free = {"page": {2: 8 * rows, 3: 8 * columns}}
    write_onnx(Exported(network.eval()), torch.zeros(1, 1, 64, 96), [PAGE], [PEAKS, SCORES, BOXES], free, out)


def continued(file: Path, crops: Iterable[Float[Tensor, "n 1 height width"]]) -> Detector:
    """The network of an ONNX file, to be trained further.

    The file has each batch normalisation folded into the convolution before it. So its mean and variance are measured
    on the crops, and its weight and bias chosen so that the network predicts what the file does.
    """
    stored = weights_of(file)
    network = Detector().eval()
    shifts: dict[nn.BatchNorm2d, Tensor] = {}
    with torch.no_grad():
        for name, module in network.named_modules():
            weight = f"detector.{name}.weight"
            if isinstance(module, nn.Conv2d):
                module.weight.copy_(torch.from_numpy(stored[weight]))
                if module.bias is not None:
                    module.bias.copy_(torch.from_numpy(stored[f"detector.{name}.bias"]))
                folded = stored.get(f"{weight}_bias")
            elif isinstance(module, nn.BatchNorm2d):  # follows its convolution
                assert folded is not None, f"{file}: expected the shift of {name}"
                shifts[module] = torch.from_numpy(folded)
                module.weight.fill_((1 + module.eps) ** 0.5)
                module.bias.copy_(shifts[module])
        for module, (mean, variance) in moments(network, [*shifts], crops).items():
            module.running_mean.copy_(mean)  # type: ignore[union-attr]
            module.running_var.copy_(variance)  # type: ignore[union-attr]
            module.weight.copy_((variance + module.eps).sqrt())
            module.bias.copy_(shifts[module] + mean)
    return network


def moments(
    network: nn.Module, layers: list[nn.BatchNorm2d], crops: Iterable[Float[Tensor, "n 1 height width"]]
) -> dict[nn.BatchNorm2d, tuple[Tensor, Tensor]]:
    """Mean and variance of each channel that enters these layers, over all crops."""
    sums = {layer: torch.zeros(3, layer.num_features, dtype=torch.float64) for layer in layers}

    def add(layer: nn.Module, entering: tuple[Tensor, ...]) -> None:
        values = entering[0].double()
        count = torch.full((values.shape[1],), values.numel() / values.shape[1], dtype=torch.float64)
        sums[layer] += torch.stack([count, values.sum((0, 2, 3)), values.square().sum((0, 2, 3))])  # type: ignore[index]

    handles = [layer.register_forward_pre_hook(add) for layer in layers]
    for each in crops:
        network(each)
    for handle in handles:
        handle.remove()
    found = {}
    for layer, (count, total, squares) in sums.items():
        mean = total / count
        found[layer] = (mean.float(), (squares / count - mean**2).clamp(min=0).float())
    return found

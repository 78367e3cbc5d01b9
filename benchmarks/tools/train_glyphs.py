"""Train the glyph classifier of `imparfait read` on what its detector finds on composed pages.

    python benchmarks/tools/train_glyphs.py harvest build/glyphs --meters METERS --first 1000000 --pages 6000
    python benchmarks/tools/train_glyphs.py train build/glyphs build/glyphs.pt --minutes 25
    python benchmarks/tools/train_glyphs.py export build/glyphs.pt glyphs.onnx

`harvest` composes pages that the detector was not trained on, finds glyphs on them as `read` does, and keeps a square
around each with what it really is: one of ten digits, or none. Several of it may run with other --first numbers.
`train` learns to tell them apart. It sees what a classifier of single digits does not: parts of digits, neighbours
that touch, letters, rules and dirt.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parent))

from fit_reader import matched
from reader_files import add_page_options, write_onnx

from imparfait.inference.ocr.detector import DIGITS, detect
from imparfait.inference.ocr.glyph_classifier import PROBABILITIES, SIDE_PIXELS, SQUARES, VIEW, glyph_inputs

KEPT_PIXELS, KEPT_VIEW = 56, VIEW * 1.3  # of a kept square: finer and wider than the input, which is moved in it
SHARD_PAGES = 250
BATCH = 256
PEAK, WEIGHT_DECAY, SMOOTHING = 4e-3, 0.02, 0.02
SHIFT, STRETCH, SLANT = 0.06, 0.08, 0.1  # of squares in training
FLIPPED = 0.03  # squares whose ink was taken for ground
CHECKED_SHARE = 0.05  # of the pages, not trained on
CHECK_STEPS = 500


class GlyphClassifier(nn.Module):
    """Logits of ten digits and of none, from squares around glyphs [n, 2, 28, 28]."""

    def __init__(self, width: int = 80):
        super().__init__()
        self.layers = nn.Sequential(
            *convolution(2, 32, stride=2),
            *convolution(32, 40),
            nn.MaxPool2d(2),
            *convolution(40, width),
            *convolution(width, width),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Dropout(0.2),
            nn.Linear(width * 9, DIGITS + 1),
        )

    def forward(self, squares: Float[Tensor, "n 2 height width"]) -> Float[Tensor, "n labels"]:
        """Logits of ten digits and of none."""
        return self.layers(squares)


def convolution(before: int, after: int, stride: int = 1) -> tuple[nn.Module, ...]:
    """3×3 convolution, batch normalisation, ReLU."""
    return nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True)


def harvest(folder: Path, meters: Path | None, fonts: Path, first: int, count: int, split: str) -> None:
    """Keep the squares of so many pages, a shard at a time; shards that are there are kept."""
    from pages import Sources, compose

    folder.mkdir(parents=True, exist_ok=True)
    sources = Sources.load(fonts, Path(__file__).parent / "hands", meters)
    for start in range(first, first + count, SHARD_PAGES):
        path = folder / f"{split}-{start:07}.npz"
        if path.exists():
            continue
        squares, sizes, labels, numbers = [], [], [], []
        for seed in range(start, start + SHARD_PAGES):
            page = compose(split, seed, sources)  # type: ignore[arg-type]
            grey = (page.image @ np.array([0.299, 0.587, 0.114]) / 255).astype(np.float32)
            boxes = detect(grey).boxes
            truth = matched(boxes, page.boxes, page.labels)
            known = truth <= DIGITS
            levels = glyph_inputs(grey, boxes[known], KEPT_PIXELS, KEPT_VIEW)[:, 0]
            squares.append(np.rint(127 * levels).astype(np.int8))
            sizes.append((boxes[known, 2:] - boxes[known, :2]).astype(np.float32))
            labels.append(truth[known].astype(np.uint8))
            numbers.append(np.full(int(known.sum()), seed))
        parts = [np.concatenate(each) for each in (squares, sizes, labels, numbers)]
        partial = path.with_name(f".{path.name}")
        np.savez_compressed(partial, **dict(zip(("squares", "sizes", "labels", "pages"), parts, strict=True)))
        partial.replace(path)
        print(f"{path.name}: {len(parts[2])} glyphs, {np.mean(parts[2] < DIGITS):.0%} digits", flush=True)


def load(folder: Path, split: str) -> tuple[Tensor, Tensor, Tensor, np.ndarray]:
    """Squares int8, sizes of the boxes, labels, and page numbers."""
    files = [np.load(path) for path in sorted(folder.glob(f"{split}-*.npz"))]
    squares, sizes, labels, pages = (
        np.concatenate([file[name] for file in files]) for name in ("squares", "sizes", "labels", "pages")
    )
    return torch.from_numpy(squares), torch.from_numpy(sizes), torch.from_numpy(labels.astype(np.int64)), pages


def views(squares: Tensor, sizes: Tensor, rng: torch.Generator | None) -> Tensor:
    """The network's inputs, moved and stretched at random where there is a generator; the box moves along."""
    n = len(squares)
    matrix = torch.eye(2).repeat(n, 1, 1)
    shift = torch.zeros(n, 2)
    if rng:
        matrix = matrix + STRETCH * (torch.rand(n, 2, 2, generator=rng) * 2 - 1) * torch.eye(2)
        matrix[:, 0, 1] += SLANT * (torch.rand(n, generator=rng) * 2 - 1)
        shift = SHIFT * (torch.rand(n, 2, generator=rng) * 2 - 1)
    ratio = VIEW / KEPT_VIEW
    theta = torch.cat([matrix * ratio, (shift * ratio)[:, :, None]], 2)
    grid = F.affine_grid(theta, [n, 1, SIDE_PIXELS, SIDE_PIXELS], align_corners=False)
    levels = F.grid_sample(squares[:, None].float() / 127, grid, padding_mode="border", align_corners=False)
    if rng:
        levels = levels * (0.8 + 0.4 * torch.rand(n, 1, 1, 1, generator=rng))
        levels = torch.where(torch.rand(n, 1, 1, 1, generator=rng) < FLIPPED, -levels, levels)
    reach = VIEW * sizes.amax(1) / 2
    places = (torch.arange(SIDE_PIXELS) + 0.5 - SIDE_PIXELS / 2).abs() * 2 / SIDE_PIXELS
    across, down = (places[None] * reach[:, None] <= sizes[:, axis, None] / 2 for axis in (0, 1))
    return torch.cat([levels, (down[:, :, None] & across[:, None, :])[:, None].float()], 1)


def batches(count: int, seed: int) -> Iterator[Tensor]:
    """Rows, in a new order for each pass."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        order = torch.randperm(count, generator=generator)
        yield from order[: count // BATCH * BATCH].split(BATCH)


def train(folder: Path, out: Path, minutes: float, seed: int = 0) -> None:
    """Train for so many minutes; the averaged weights are saved."""
    torch.manual_seed(seed)
    squares, sizes, labels, pages = load(folder, "fit")
    checked = torch.from_numpy(pages % round(1 / CHECKED_SHARE) == 0)
    fitted, held = torch.nonzero(~checked)[:, 0], torch.nonzero(checked)[:, 0]
    network = GlyphClassifier().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(network.parameters(), lr=PEAK, weight_decay=WEIGHT_DECAY)
    average = torch.optim.swa_utils.AveragedModel(
        network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.998), use_buffers=True
    )
    rng = torch.Generator().manual_seed(seed)
    begun = time.monotonic()
    print(f"{len(fitted)} glyphs to train on, {len(held)} to check", flush=True)
    for step, rows in enumerate(batches(len(fitted), seed), 1):
        done = (time.monotonic() - begun) / (60 * minutes)
        if done >= 1:
            break
        for group in optimizer.param_groups:
            group["lr"] = PEAK * min(1.0, step / 200) * max(1e-3, 0.5 * (1 + np.cos(np.pi * done)))
        chosen = fitted[rows]
        inputs = views(squares[chosen], sizes[chosen], rng).contiguous(memory_format=torch.channels_last)
        loss = F.cross_entropy(network(inputs), labels[chosen], label_smoothing=SMOOTHING)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        average.update_parameters(network)
        if step % CHECK_STEPS == 0:
            right, of_digits = accuracy(average.module, squares[held], sizes[held], labels[held])
            print(f"step {step}, {100 * done:.0f} %: all {right:.2%}, which digit {of_digits:.2%}", flush=True)
    torch.save(average.module.state_dict(), out)


def accuracy(network: nn.Module, squares: Tensor, sizes: Tensor, labels: Tensor) -> tuple[float, float]:
    """Shares right: of all labels, and of digits where only digits can be named."""
    network.eval()
    with torch.inference_mode():
        logits = torch.cat([
            network(views(*each, None)) for each in zip(squares.split(2000), sizes.split(2000), strict=True)
        ])  # fmt: skip
    digit = labels < DIGITS
    right = (logits.argmax(1) == labels).float().mean()
    return float(right), float((logits[digit, :DIGITS].argmax(1) == labels[digit]).float().mean())


def export(state: Path, out: Path) -> None:
    """Write the network as ONNX, with probabilities instead of logits."""
    network = GlyphClassifier()
    network.load_state_dict(torch.load(state, weights_only=True))
    free = ({0: torch.export.Dim("glyphs", min=1, max=65536)},)
    named = nn.Sequential(network, nn.Softmax(1))
    write_onnx(named, torch.zeros(2, 2, SIDE_PIXELS, SIDE_PIXELS), [SQUARES], [PROBABILITIES], free, out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    keeping = commands.add_parser("harvest")
    add_page_options(keeping, first=1_000_000, pages=6_000)
    training = commands.add_parser("train")
    training.add_argument("folder", type=Path)
    training.add_argument("out", type=Path)
    training.add_argument("--minutes", type=float, default=25.0)
    training.add_argument("--seed", type=int, default=0)
    exporting = commands.add_parser("export")
    exporting.add_argument("state", type=Path)
    exporting.add_argument("out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.command == "harvest":
        harvest(options.folder, options.meters, options.fonts, options.first, options.pages, options.split)
    elif options.command == "train":
        train(options.folder, options.out, options.minutes, options.seed)
    else:
        export(options.state, options.out)


if __name__ == "__main__":
    main()

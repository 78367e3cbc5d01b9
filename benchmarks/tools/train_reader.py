"""Train the digit detector of `imparfait read` on composed pages.

    python benchmarks/tools/train_reader.py compose build/pages --meters METERS --pages 20000
    python benchmarks/tools/train_reader.py train build/pages build/reader --hours 4

`compose` writes pages in shards of 250, several of it at once if started with other --first numbers. `train` reads all
shards that are there, also those that appear later, and saves its state every five minutes; the same command continues.

The network is fully convolutional. At a quarter of the resolution it gives eleven heat maps (ten digits, other glyphs)
whose peaks are the glyphs' centres, and for each centre the logarithms of width and height and the offset to the exact
centre. Source: CenterNet (Zhou, Wang & Krähenbühl, 2019). Only glyphs of some sizes count as such at one scale: larger
ones are ground, so that a page is read at scales a factor of two apart and each glyph is found at one of them.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parent))

STRIDE = 4
OTHER = 10
HEIGHTS_PX = (9.0, 44.0)  # of glyphs that count at one scale; between these and the next they may be found or not
IGNORED_PX = (7.0, 58.0)
CROP_PX = 192
SCALES = (0.45, 1.6)  # at which a page is shown, log-uniform
AIMED_SHARE = 0.75  # of crops around a digit
AIMED_PX = (8.0, 60.0)  # height at which that digit is shown, log-uniform
BATCH = 8
SHARD_PAGES = 250
SAVE_SECONDS = 300
LEARNING_RATE, WEIGHT_DECAY = 2e-3, 0.02


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


def targets(
    boxes: Float[np.ndarray, "n 4"], labels: UInt8[np.ndarray, " n"], side: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What the heat maps, the boxes and the weights of both should be, for a crop of `side` pixels.

    Heat maps [11, rows, columns] are 1 at a centre and fall off as a Gaussian; boxes [4, rows, columns]; weights
    [rows, columns] are 0 over ignored glyphs.
    """
    cells = side // STRIDE
    heat = np.zeros((OTHER + 1, cells, cells), np.float32)
    box = np.zeros((4, cells, cells), np.float32)
    weight = np.ones((cells, cells), np.float32)
    down, right = np.mgrid[:cells, :cells]
    for (left, top, width, height), label in zip(boxes, labels, strict=True):
        size = max(height, 0.6 * width)
        x, y = (left + width / 2) / STRIDE, (top + height / 2) / STRIDE
        if not (0 <= x < cells and 0 <= y < cells):
            continue
        counts = HEIGHTS_PX[0] <= size <= HEIGHTS_PX[1] and label <= OTHER
        column, row = int(x), int(y)
        if not counts:
            if label > OTHER or IGNORED_PX[0] <= size <= IGNORED_PX[1]:
                radius_x, radius_y = max(1.0, width / STRIDE / 2), max(1.0, height / STRIDE / 2)
                weight[(np.abs(right + 0.5 - x) < radius_x) & (np.abs(down + 0.5 - y) < radius_y)] = 0
            continue
        # Narrow peaks for narrow glyphs: two 1s beside each other have two.
        tall = max(0.6, 0.13 * size / STRIDE)
        wide = min(tall, max(0.5, 0.2 * width / STRIDE))
        spread = np.exp(-((right - column) ** 2) / (2 * wide**2) - (down - row) ** 2 / (2 * tall**2))
        heat[label] = np.maximum(heat[label], spread)
        box[:, row, column] = np.log(width / STRIDE), np.log(height / STRIDE), x - column, y - row
    return heat, box, weight


def loss_of(outputs: tuple[Tensor, Tensor], heat: Tensor, box: Tensor, weight: Tensor) -> Tensor:
    """CenterNet's loss: a focal loss of the heat maps, and the error of the boxes at centres."""
    logits, boxes = outputs
    centre = (heat == 1).float()
    chance = torch.sigmoid(logits.float())
    found = -((1 - chance) ** 2) * F.logsigmoid(logits) * centre
    none = -(chance**2) * (1 - heat) ** 4 * F.logsigmoid(-logits) * (1 - centre)
    number = centre.sum().clamp(min=1)
    seen = (centre.amax(1, keepdim=True) > 0).float()
    # A centre keeps its weight inside an ignored neighbour's box.
    heat_loss = (found + none * weight[:, None]).sum() / number
    box_loss = (seen * (boxes - box).abs()).sum() / number
    return heat_loss + 0.3 * box_loss


class Pages:
    """All pages of the shards in a folder; `refresh` reads those that have appeared since."""

    def __init__(self, folder: Path):
        self.folder, self.read = folder, set[Path]()
        self.pages: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self.refresh()

    def refresh(self) -> None:
        """Read new shards."""
        for path in sorted(set(self.folder.glob("fit-*.npz")) - self.read):
            with np.load(path) as file:
                ends = np.cumsum(file["counts"])[:-1]
                boxes, labels = np.split(file["boxes"], ends), np.split(file["labels"], ends)
                self.pages += list(zip(file["images"], boxes, labels, strict=True))
            self.read.add(path)

    def crop(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """A random crop at a random scale: pixels [CROP_PX, CROP_PX], and its targets.

        Most crops are around a digit, which is shown at a height drawn first: small digits are the most frequent on
        pages, and would be nearly all that the network sees.
        """
        image, boxes, labels = self.pages[rng.integers(len(self.pages))]
        side, digits = len(image), boxes[labels < OTHER]
        aim = digits[rng.integers(len(digits))] if len(digits) and rng.random() < AIMED_SHARE else None
        scale = float(np.exp(rng.uniform(*np.log(SCALES))))
        if aim is not None:
            scale = float(np.clip(np.exp(rng.uniform(*np.log(AIMED_PX))) / max(aim[3], 0.6 * aim[2], 1.0), 0.3, 2.2))
        large = max(CROP_PX, round(side * scale))
        tensor = torch.from_numpy(image)[None, None].float()
        shrunk = F.interpolate(tensor, size=(round(side * scale),) * 2, mode="bilinear", antialias=scale < 1)
        pad = large - shrunk.shape[-1]
        before = (int(rng.integers(pad + 1)), int(rng.integers(pad + 1)))
        full = F.pad(shrunk, (before[0], pad - before[0], before[1], pad - before[1]), mode="replicate")[0, 0].numpy()
        ratio = round(side * scale) / side
        left, top = (int(rng.integers(large - CROP_PX + 1)) for _ in range(2))
        if aim is not None:
            centres = (aim[:2] + aim[2:] / 2) * ratio + before
            corners = np.clip(centres - rng.uniform(0, CROP_PX, 2), 0, large - CROP_PX)
            left, top = (int(corner) for corner in corners)
        moved = boxes * ratio + np.array([before[0] - left, before[1] - top, 0, 0], np.float32)
        kept = cut_by_crop(moved, labels)
        pixels = full[top : top + CROP_PX, left : left + CROP_PX]
        if rng.random() < 0.35:
            pixels = 255 - pixels
        return (pixels.astype(np.float32) / 255, *targets(moved, kept, CROP_PX))


def cut_by_crop(boxes: Float[np.ndarray, "n 4"], labels: UInt8[np.ndarray, " n"]) -> UInt8[np.ndarray, " n"]:
    """The labels, 11 (ignored) for glyphs of which the crop shows less than two thirds."""
    low = np.clip(boxes[:, :2], 0, CROP_PX)
    high = np.clip(boxes[:, :2] + boxes[:, 2:], 0, CROP_PX)
    shown = (high - low).prod(1) / np.maximum(boxes[:, 2:].prod(1), 1e-6)
    return np.where(shown < 0.67, OTHER + 1, labels).astype(np.uint8)


def train(
    folder: Path,
    out: Path,
    hours: float,
    minutes: float,
    begin: Path | None = None,
    peak: float = LEARNING_RATE,
    seed: int = 1,
) -> None:
    """Train for so many hours in all, from random weights or the averaged ones of another training.

    Stops after `minutes` of them, to be continued.
    """
    torch.manual_seed(0)
    out.mkdir(parents=True, exist_ok=True)
    pages, network = Pages(folder), Detector().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    average = torch.optim.swa_utils.AveragedModel(
        network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.999), use_buffers=True
    )
    if begin:
        network.load_state_dict(averaged(begin))
        average.module.load_state_dict(averaged(begin))
    step, spent, state = 0, 0.0, out / "state.pt"
    if state.exists():
        saved = torch.load(state, weights_only=True)
        network.load_state_dict(saved["network"])
        optimizer.load_state_dict(saved["optimizer"])
        average.load_state_dict(saved["average"])
        step, spent = saved["step"], saved["spent"]
    begun = last = time.monotonic()
    before, mean = spent, 0.0
    network.train()
    while (done := spent / (3600 * hours)) < 1 and time.monotonic() - begun < 60 * minutes:
        rate = min(1.0, step / 300) * (1 if done < 0.1 else 0.5 * (1 + np.cos(np.pi * (done - 0.1) / 0.9)))
        for group in optimizer.param_groups:
            group["lr"] = float(peak * max(rate, 1e-3))
        rng = np.random.default_rng([seed, step])
        pixels, heat, box, weight = (
            torch.from_numpy(np.stack(part)) for part in zip(*(pages.crop(rng) for _ in range(BATCH)), strict=True)
        )
        shown = pixels[:, None].contiguous(memory_format=torch.channels_last)
        loss = loss_of(network(shown), heat, box, weight)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()
        average.update_parameters(network)
        step, spent = step + 1, before + time.monotonic() - begun
        mean += 0.01 * (loss.item() - mean) if step > 1 else loss.item()
        if time.monotonic() - last > SAVE_SECONDS or step % 2000 == 0:
            last = time.monotonic()
            save(state, network, optimizer, average, step, spent)
            pages.refresh()
            print(f"step {step}, {spent / 60:.0f} min, {len(pages.pages)} pages, loss {mean:.3f}", flush=True)
    save(state, network, optimizer, average, step, spent)


def save(
    path: Path,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    average: nn.Module,
    step: int,
    spent: float,
) -> None:
    """Save the state of a training; a kill leaves the one before."""
    partial = path.with_suffix(".partial")
    content = {
        "network": network.state_dict(), "optimizer": optimizer.state_dict(), "average": average.state_dict(),
        "step": step, "spent": spent,
    }  # fmt: skip
    torch.save(content, partial)
    partial.replace(path)


def compose_shards(folder: Path, meters: Path | None, fonts: Path, first: int, count: int, split: str) -> None:
    """Compose pages of these seeds, a shard at a time; shards that are there are kept."""
    from pages import Sources, compose

    folder.mkdir(parents=True, exist_ok=True)
    sources = Sources.load(fonts, Path(__file__).parent / "hands", meters)
    for start in range(first, first + count, SHARD_PAGES):
        path = folder / f"{split}-{start:07}.npz"
        if path.exists():
            continue
        pages = [compose(split, seed, sources) for seed in range(start, start + SHARD_PAGES)]  # type: ignore[arg-type]
        grey = np.stack([np.rint(page.image @ np.array([0.299, 0.587, 0.114])).astype(np.uint8) for page in pages])
        boxes, labels = (np.concatenate([getattr(page, part) for page in pages]) for part in ("boxes", "labels"))
        partial = path.with_name(f".{path.name}")
        np.savez_compressed(
            partial, images=grey, counts=[len(page.labels) for page in pages], boxes=boxes, labels=labels
        )
        partial.replace(path)


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
    program = torch.onnx.export(
        Exported(network.eval()).eval(),
        (torch.zeros(1, 1, 64, 96),),
        input_names=[PAGE],
        output_names=[PEAKS, SCORES, BOXES],
        dynamic_shapes={"page": {2: 8 * rows, 3: 8 * columns}},
        opset_version=20,
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    assert program is not None
    out.write_bytes(program.model_proto.SerializeToString(deterministic=True))
    print(f"{out}: {out.stat().st_size:,} bytes")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    composing = commands.add_parser("compose")
    composing.add_argument("folder", type=Path)
    composing.add_argument("--meters", type=Path)
    composing.add_argument("--fonts", type=Path, default=Path("build/fonts"))
    composing.add_argument("--first", type=int, default=0)
    composing.add_argument("--pages", type=int, default=20_000)
    composing.add_argument("--split", choices=("fit", "choose", "test"), default="fit")
    training = commands.add_parser("train")
    training.add_argument("folder", type=Path)
    training.add_argument("out", type=Path)
    training.add_argument("--hours", type=float, default=4.0, help="of the whole training; the learning rate follows")
    training.add_argument("--init-from", type=Path, help="state.pt of another training")
    training.add_argument("--peak", type=float, default=LEARNING_RATE, help="highest learning rate")
    training.add_argument("--seed", type=int, default=1, help="another one shows other crops")
    training.add_argument("--threads", type=int, default=1)
    training.add_argument("--minutes", type=float, default=1e9, help="of this call")
    exporting = commands.add_parser("export")
    exporting.add_argument("state", type=Path)
    exporting.add_argument("out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.command == "compose":
        compose_shards(options.folder, options.meters, options.fonts, options.first, options.pages, options.split)
    elif options.command == "export":
        export(options.state, options.out)
    else:
        torch.set_num_threads(options.threads)
        train(
            options.folder, options.out, options.hours, options.minutes, options.init_from, options.peak, options.seed
        )


if __name__ == "__main__":
    main()

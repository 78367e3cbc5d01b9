"""Train the digit detector of `imparfait read` on composed pages.

    python benchmarks/tools/train_reader.py compose build/pages --meters METERS --pages 20000
    python benchmarks/tools/train_reader.py train build/pages build/reader --hours 4
    python benchmarks/tools/train_reader.py train build/pages build/more --hours 2 --init-from reader.onnx

`compose` writes pages in shards of 250, several of it at once if started with other --first numbers. `train` reads all
shards that are there, also those that appear later, and saves its state every five minutes; the same command continues.

reader_network.py is the network. Only glyphs of some sizes count as such at one scale: larger ones are ground, so that
a page is read at scales a factor of two apart and each glyph is found at one of them.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parent))

from reader_files import add_page_options
from reader_network import OTHER, Detector, averaged, continued, export

STRIDE = 4
HEIGHTS_PX = (9.0, 44.0)  # of glyphs that count at one scale; between these and the next they may be found or not
IGNORED_PX = (7.0, 58.0)
CROP_PX = 192
SCALES = (0.45, 1.6)  # at which a page is shown, log-uniform
AIMED_SHARE = 0.75  # of crops around a digit
AIMED_PX = (8.0, 60.0)  # height at which that digit is shown, log-uniform
BATCH = 8
SHARD_PAGES = 250
SAVE_SECONDS = 300
MEASURED_BATCHES = 40
LEARNING_RATE, WEIGHT_DECAY = 2e-3, 0.02


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
    """Train for so many hours in all, from random weights, another training's averaged ones or those of an ONNX file.

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
        weights = continued(begin, crops_of(pages)).state_dict() if begin.suffix == ".onnx" else averaged(begin)
        network.load_state_dict(weights)
        average.module.load_state_dict(weights)
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


def crops_of(pages: Pages) -> Iterator[Tensor]:
    """Crops to measure the network's activations on."""
    rng = np.random.default_rng(0)
    for _ in range(MEASURED_BATCHES):
        yield torch.from_numpy(np.stack([pages.crop(rng)[0] for _ in range(BATCH)]))[:, None]


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    composing = commands.add_parser("compose")
    add_page_options(composing, first=0, pages=20_000)
    training = commands.add_parser("train")
    training.add_argument("folder", type=Path)
    training.add_argument("out", type=Path)
    training.add_argument("--hours", type=float, default=4.0, help="of the whole training; the learning rate follows")
    training.add_argument("--init-from", type=Path, help="state.pt of another training, or an ONNX file of the reader")
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

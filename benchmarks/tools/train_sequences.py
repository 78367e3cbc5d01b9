"""Train the sequence recogniser of `imparfait read` on fields of composed pages.

    python benchmarks/tools/train_sequences.py harvest build/sequences --meters METERS --first 2000000 --pages 20000
    python benchmarks/tools/train_sequences.py train build/sequences build/sequences.pt --minutes 60
    python benchmarks/tools/train_sequences.py export build/sequences.pt sequences.onnx

`harvest` composes pages that the detector was not trained on and keeps the strips of their fields, with their digits,
and strips of letters, which have none. Every second page is handwritten. The boxes that a strip is cut by are the true
ones with the detector's kinds of errors: moved, larger or smaller, the first or the last one missing. Run
several processes with different --first numbers; `train` picks up new shards.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parent))

from reader_files import add_page_options, write_onnx

from imparfait.inference.ocr.detector import DIGITS
from imparfait.inference.ocr.layout import find_lines, split_into_fields
from imparfait.inference.ocr.sequence_recognizer import PROBABILITIES, STRIP, STRIP_PIXELS, field_strip

BLANK = DIGITS
SHARD_PAGES = 250
MISSING = 0.08  # probability that the box at an end of a field is left out
MOVED = 0.05  # standard deviation of a box's place, in heights
RESIZED = 0.12  # standard deviation of the logarithm of a box's size
WORD_SHARE, MAX_LETTERS = 0.25, 5  # of words, of which so many letters are kept: they have no digits
SINGLE_DIGIT_SHARE = 0.35  # of fields with one digit, that are kept
BATCH = 32
PEAK, WEIGHT_DECAY = 2e-3, 0.02
STRETCH, SLANT, SHIFT = 0.12, 0.25, 1.5  # of strips in training; the last in pixels
FLIPPED = 0.02  # strips whose ink was taken for ground
CHECKED_PAGES = 20  # one page in so many is not trained on
CHECK_STEPS = 1000


class SequenceRecognizer(nn.Module):
    """Logits of ten digits and of a blank [n, columns / 2, 11], from strips [n, 2, 32, columns]."""

    def __init__(self, width: int = 96):
        super().__init__()
        self.stem = nn.Sequential(
            *conv_block(2, 24, stride=2),
            *conv_block(24, 32),
            nn.MaxPool2d((2, 1)),
            *conv_block(32, 48),
            *conv_block(48, 48),
            nn.MaxPool2d((2, 1)),
            *conv_block(48, 64),
            *conv_block(64, 64),
        )
        self.flat = nn.Sequential(
            nn.Conv2d(64, width, (4, 1), bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)
        )
        self.body = nn.Sequential(*(Along(width, dilation) for dilation in (1, 2, 4)))
        self.last = nn.Sequential(nn.Dropout(0.1), nn.Conv1d(width, DIGITS + 1, 1))

    def forward(self, strips: Float[Tensor, "n 2 rows columns"]) -> Float[Tensor, "n frames labels"]:
        """Logits; the last label is none."""
        return self.last(self.body(self.flat(self.stem(strips))[:, :, 0])).transpose(1, 2)


class Along(nn.Module):
    """A residual block of convolutions along a line."""

    def __init__(self, width: int, dilation: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation, bias=False),
            nn.BatchNorm1d(width),
            nn.ReLU(inplace=True),
            nn.Conv1d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm1d(width),
        )

    def forward(self, x: Float[Tensor, "n width frames"]) -> Float[Tensor, "n width frames"]:
        """The same shape as the input."""
        return F.relu(x + self.layers(x))


def conv_block(before: int, after: int, stride: int = 1) -> tuple[nn.Module, ...]:
    """3×3 convolution, batch normalisation, ReLU."""
    return nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True)


def harvest(folder: Path, meters: Path | None, fonts: Path, first: int, count: int, split: str) -> None:
    """Keep the fields of so many pages, a shard at a time; shards that are there are kept."""
    from pages import Sources, compose
    from pages.handwriting import handwritten

    folder.mkdir(parents=True, exist_ok=True)
    sources = Sources.load(fonts, Path(__file__).parent / "hands", meters)
    for start in range(first, first + count, SHARD_PAGES):
        path = folder / f"{split}-{start:07}.npz"
        if path.exists():
            continue
        strips, texts, numbers = [], [], []
        for seed in range(start, start + SHARD_PAGES):
            rng = np.random.default_rng([seed, 11])
            kind = handwritten if seed % 2 else None
            page = compose(split, seed, sources, scene_kind=kind)  # type: ignore[arg-type]
            grey = (page.image @ np.array([0.299, 0.587, 0.114]) / 255).astype(np.float32)
            for strip, text in fields_of(grey, page.boxes, page.labels, rng):
                strips.append(strip)
                texts.append(text)
                numbers.append(seed)
        widths = np.array([strip.shape[2] for strip in strips])
        partial = path.with_name(f".{path.name}")
        np.savez_compressed(
            partial,
            levels=np.concatenate([np.rint(127 * strip[0]).astype(np.int8) for strip in strips], 1),
            inside=np.concatenate([strip[1, 0] > 0 for strip in strips]),
            widths=widths, texts=np.array(texts), pages=np.array(numbers),
        )  # fmt: skip
        partial.replace(path)
        print(f"{path.name}: {len(texts)} fields, {np.mean([len(text) for text in texts]):.1f} digits", flush=True)


def fields_of(grey: np.ndarray, boxes: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> list[tuple]:
    """The strips and digits of a page's fields, cut by boxes with errors."""
    corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], 1).astype(float)
    found = []
    for line in find_lines(corners):
        # What is cut off or too small may or may not be a digit: no truth for its field.
        for field in split_into_fields(line, corners, np.where(labels == DIGITS, 0.0, 1.0)):
            if (labels[field] > DIGITS).any() or (len(field) == 1 and rng.random() > SINGLE_DIGIT_SHARE):
                continue
            strip = field_strip(grey, _with_errors(corners[field], rng)).planes
            text = "".join(map(str, labels[field]))
            if strip.shape[2] // 2 > 2 * len(text) + 1:
                found.append((strip, text))
        for word in split_into_fields(line, corners, np.where(labels == DIGITS, 1.0, 0.0)):
            if rng.random() < WORD_SHARE:
                start = int(rng.integers(len(word)))
                part = word[start : start + 1 + int(rng.integers(MAX_LETTERS))]
                found.append((field_strip(grey, _with_errors(corners[part], rng)).planes, ""))
    return found


def _with_errors(boxes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    kept = slice(int(rng.random() < MISSING), len(boxes) - int(rng.random() < MISSING))
    boxes = boxes[kept] if len(boxes) > 2 else boxes
    middles, sizes = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    middles = middles + MOVED * sizes[:, 1:] * rng.normal(size=middles.shape)
    sizes = sizes * np.exp(RESIZED * rng.normal(size=sizes.shape) + RESIZED / 2 * rng.normal())
    return np.concatenate([middles - sizes / 2, middles + sizes / 2], 1)


class Fields:
    """All strips of the shards in a folder; `refresh` reads those that have appeared since."""

    def __init__(self, folder: Path, split: str):
        self.folder, self.split, self.read = folder, split, set[Path]()
        self.training: list[tuple[np.ndarray, np.ndarray, str]] = []
        self.validation: list[tuple[np.ndarray, np.ndarray, str]] = []
        self.refresh()

    def refresh(self) -> None:
        """Read new shards."""
        for path in sorted(set(self.folder.glob(f"{self.split}-*.npz")) - self.read):
            with np.load(path) as file:
                ends = np.cumsum(file["widths"])[:-1]
                levels, inside = np.split(file["levels"], ends, 1), np.split(file["inside"], ends)
                for *field, page in zip(levels, inside, file["texts"].tolist(), file["pages"], strict=True):
                    (self.validation if page % CHECKED_PAGES == 0 else self.training).append(tuple(field))
            self.read.add(path)


def batch_of(fields: list[tuple], rng: np.random.Generator | None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Strips [n, 2, 32, columns], their frames, the digits of all, and how many each has; augmented with `rng`."""
    widest = max(levels.shape[1] for levels, _, _ in fields)
    widest = 8 * -(-round(widest * (1 + (STRETCH if rng else 0))) // 8)
    strips = torch.zeros(len(fields), 2, STRIP_PIXELS, widest)
    frames = []
    for place, (levels, inside, _) in enumerate(fields):
        columns = levels.shape[1]
        pixels = torch.from_numpy(np.stack([levels / np.float32(127), np.tile(inside, (STRIP_PIXELS, 1))])).float()
        if rng:
            columns = max(8, round(columns * rng.uniform(1 - STRETCH, 1 + STRETCH)))
            lean, tall = SLANT * rng.uniform(-1, 1) * STRIP_PIXELS / columns, 1 + STRETCH * rng.uniform(-1, 1)
            shift = 2 * SHIFT * rng.uniform(-1, 1) / STRIP_PIXELS
            theta = torch.tensor([[[1.0, lean, 0.0], [0.0, tall, shift]]])
            grid = F.affine_grid(theta, [1, 1, STRIP_PIXELS, columns], align_corners=False)
            pixels = F.grid_sample(pixels[None], grid, padding_mode="border", align_corners=False)[0]
            pixels[0] *= rng.uniform(0.75, 1.15) * (-1 if rng.random() < FLIPPED else 1)
        strips[place, :, :, :columns] = pixels
        frames.append(-(-columns // 2))
    digits = torch.tensor([int(digit) for *_, text in fields for digit in text])
    return strips, torch.tensor(frames), digits, torch.tensor([len(text) for *_, text in fields])


def train(folder: Path, out: Path, minutes: float, seed: int = 0, init_from: Path | None = None) -> None:
    """Train for so many minutes, from a saved state if there is one; the averaged weights are saved."""
    torch.manual_seed(seed)
    fields, rng = Fields(folder, "fit"), np.random.default_rng(seed)
    network = SequenceRecognizer().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if init_from:
        network.load_state_dict(torch.load(init_from, weights_only=True))
    optimizer = torch.optim.AdamW(network.parameters(), lr=PEAK, weight_decay=WEIGHT_DECAY)
    average = torch.optim.swa_utils.AveragedModel(
        network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.998), use_buffers=True
    )
    begun, step = time.monotonic(), 0
    while (done := (time.monotonic() - begun) / (60 * minutes)) < 1:
        step += 1
        for group in optimizer.param_groups:
            group["lr"] = PEAK * min(1.0, step / 300) * max(1e-3, 0.5 * (1 + np.cos(np.pi * done)))
        # Strips of about the same width, so that little is padded.
        chosen = rng.choice(len(fields.training), 8 * BATCH)
        ordered = sorted(chosen.tolist(), key=lambda row: fields.training[row][0].shape[1])
        start = int(rng.integers(8)) * BATCH
        strips, frames, digits, lengths = batch_of(
            [fields.training[row] for row in ordered[start : start + BATCH]], rng
        )
        logits = network(strips.contiguous(memory_format=torch.channels_last)).log_softmax(2)
        loss = F.ctc_loss(logits.transpose(0, 1), digits, frames, lengths, BLANK, zero_infinity=True)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()
        average.update_parameters(network)
        if step % CHECK_STEPS == 0:
            fields.refresh()
            correct = accuracy(average.module, fields.validation[:2000])
            print(
                f"step {step}, {100 * done:.0f} %, {len(fields.training)} fields: "
                f"loss {loss:.3f}, correct {correct:.2%}",
                flush=True,
            )
            torch.save(average.module.state_dict(), out)
    torch.save(average.module.state_dict(), out)


def accuracy(network: nn.Module, fields: list[tuple]) -> float:
    """Share of fields with all digits correct, by the most probable label of each frame."""
    network.eval()
    correct, ordered = 0, sorted(fields, key=lambda field: field[0].shape[1])
    with torch.inference_mode():
        for start in range(0, len(ordered), 64):
            some = ordered[start : start + 64]
            strips, frames, _, _ = batch_of(some, None)
            for best, count, (*_, text) in zip(network(strips).argmax(2), frames.tolist(), some, strict=True):
                runs = torch.unique_consecutive(best[:count])
                correct += "".join(str(int(label)) for label in runs if label != BLANK) == text
    return correct / len(fields)


def export(state: Path, out: Path) -> None:
    """Write the network as ONNX, with probabilities instead of logits."""
    network = SequenceRecognizer()
    network.load_state_dict(torch.load(state, weights_only=True))
    free = ({3: torch.export.Dim("columns", min=8, max=2048)},)
    named = nn.Sequential(network, nn.Softmax(2))
    write_onnx(named, torch.zeros(1, 2, STRIP_PIXELS, 64), [STRIP], [PROBABILITIES], free, out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    keeping = commands.add_parser("harvest")
    add_page_options(keeping, first=2_000_000, pages=20_000)
    training = commands.add_parser("train")
    training.add_argument("folder", type=Path)
    training.add_argument("out", type=Path)
    training.add_argument("--minutes", type=float, default=60.0)
    training.add_argument("--seed", type=int, default=0)
    training.add_argument("--init-from", type=Path)
    training.add_argument("--threads", type=int, default=1)
    exporting = commands.add_parser("export")
    exporting.add_argument("state", type=Path)
    exporting.add_argument("out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.command == "harvest":
        harvest(options.folder, options.meters, options.fonts, options.first, options.pages, options.split)
    elif options.command == "train":
        torch.set_num_threads(options.threads)
        train(options.folder, options.out, options.minutes, options.seed, options.init_from)
    else:
        export(options.state, options.out)


if __name__ == "__main__":
    main()

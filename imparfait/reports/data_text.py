"""Every sentence about a data set: its table, summary and warnings, weak slices, and images of none of its classes."""

from collections.abc import Sequence

from imparfait.core.counts import counted
from imparfait.core.storage import printable
from imparfait.data.data_report import DataReport, Overlap, SplitReport
from imparfait.data.dataset import Split
from imparfait.evaluation.weak_slices import GROUP, WeakSlice
from imparfait.models.metadata import NoneOfThese

NAMES: dict[Split, str] = {"train": "training", "validation": "validation", "test": "test"}
MAX_CLASSES = 20  # in a table; of more, the rarest are shown
MAX_NAMES = 5  # classes in a sentence
IMBALANCE = 10  # images of the largest class for one of the smallest, from which on it is said
FEW_IMAGES = 20  # per class, below which it is said
ENDS = {
    "brightness": ("dark", "bright"),
    "contrast": ("low-contrast", "high-contrast"),
    "sharpness": ("blurred", "sharp or noisy"),
    "colourfulness": ("pale", "colourful"),
    "eccentricity": ("centred", "off-centre"),
    "scale": ("small-object", "large-object"),
}
"""What images at the lower and the upper end of a property are called."""
MODES = {"L": "grey", "RGB": "colour", "RGBA": "colour with transparency", "P": "palette", "1": "black and white"}


def data_table(report: DataReport) -> tuple[Sequence[str], Sequence[Sequence[str]], Sequence[str]]:
    """The images of each class and split: headings, rows and the last row."""
    splits = list(report.splits)
    classes = report.classes
    if len(classes) > MAX_CLASSES:
        rarest = sorted(classes, key=lambda name: report.splits["train"].per_class[name])[:MAX_CLASSES]
        classes = [name for name in classes if name in set(rarest)]
    rows = [[name, *(f"{report.splits[split].per_class[name]:,}" for split in splits)] for name in classes]
    if len(classes) < len(report.classes):
        rows.append([f"… {len(report.classes) - len(classes)} larger classes", *([""] * len(splits))])
    return ("class", *splits), rows, ["all", *(f"{report.splits[split].images:,}" for split in splits)]


def data_lines(report: DataReport) -> list[str]:
    """The summary: images, classes, sizes, colour modes and groups."""
    counts = report.splits["train"].per_class
    smallest, largest = min(counts, key=counts.__getitem__), max(counts, key=counts.__getitem__)
    images = ", ".join(f"{part.images:,} {NAMES[split]}" for split, part in report.splits.items())
    each = f"{counts[smallest]:,}"
    if counts[smallest] != counts[largest]:
        each += f" (class {smallest}) to {counts[largest]:,} (class {largest})"
    form = report.input
    lines = [
        f"{report.name}: {images} images; {len(report.classes)} classes of {each} training images",
        f"sizes: {_sizes(list(report.splits.values()))}; {_modes(list(report.splits.values()))}; read as "
        f"{form.height}×{form.width}, {'grey' if form.channels == 1 else 'colour'}",
    ]
    if report.groups is not None:
        lines.append(f"groups: {report.groups:,}")
    return lines


def data_warnings(report: DataReport) -> list[str]:
    """What can spoil a training or its evaluation, as sentences; none where nothing was found."""
    found = [sentence for overlap in report.overlaps for sentence in _overlap(report, overlap)]
    if report.other_labels:
        found.append(f"{report.other_labels:,} images have copies with another label: at least one label is wrong")
    for split, part in report.splits.items():
        if part.copies:
            alone = split == "train" and "validation" not in report.splits
            leak = ": a random split can put them on both sides" if alone else ""
            found.append(f"{_images(part.copies, split)} {_are(part.copies)} of other {NAMES[split]} images{leak}")
        if missing := [name for name, count in part.per_class.items() if not count]:
            found.append(f"no {NAMES[split]} images of {_named(missing)}")
        if part.skipped:
            be = "is" if part.skipped == 1 else "are"
            found.append(f"{_images(part.skipped, split)} cannot be read and {be} left out")
    counts = report.splits["train"].per_class
    smallest, largest = min(counts, key=counts.__getitem__), max(counts, key=counts.__getitem__)
    if counts[largest] >= IMBALANCE * counts[smallest]:
        found.append(
            f"the classes are imbalanced: {_images(counts[largest], 'train')} of {largest}, "
            f"{counts[smallest]:,} of {smallest}; the recall of each class tells more than the accuracy"
        )
    if few := [name for name, count in counts.items() if count < FEW_IMAGES]:
        found.append(f"fewer than {FEW_IMAGES} training images of {_named(few)}")
    return found


def _overlap(report: DataReport, overlap: Overlap) -> list[str]:
    total, other = report.splits[overlap.split].images, NAMES[overlap.other]
    found = []
    if overlap.copies:
        found.append(
            f"{overlap.copies:,} of {_images(total, overlap.split)} {_are(overlap.copies)} of {other} images"
            f"{_example(overlap.examples)}: the {NAMES[overlap.split]} accuracy will be too high; "
            "remove them from one split"
        )
    if overlap.near_copies:
        near = "is nearly the same as a" if overlap.near_copies == 1 else "are nearly the same as"
        found.append(
            f"{overlap.near_copies:,} of {_images(total, overlap.split)} {near} {other} "
            f"image{'s' * (overlap.near_copies > 1)}{_example(overlap.near_examples)}"
        )
    if overlap.shared_groups:
        found.append(
            f"{overlap.shared_groups:,} group{'s' * (overlap.shared_groups > 1)} with {NAMES[overlap.split]} images "
            f"{'have' if overlap.shared_groups > 1 else 'has'} {other} images too"
        )
    return found


def _example(pairs: Sequence[tuple[str, str]]) -> str:
    return f", such as {pairs[0][0]} and {pairs[0][1]}" if pairs else ""


def _images(count: int, split: Split) -> str:
    return counted(count, f"{NAMES[split]} image")


def _are(count: int) -> str:
    return "are copies" if count > 1 else "is a copy"


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - MAX_NAMES} more classes" if len(names) > MAX_NAMES else ""
    return ", ".join(names[:MAX_NAMES]) + more


def _sizes(parts: Sequence[SplitReport]) -> str:
    counts: dict[str, int] = {}
    for part in parts:
        for size, count in part.sizes.items():
            counts[size] = counts.get(size, 0) + count
    sizes = sorted(counts, key=counts.__getitem__, reverse=True)
    if len(sizes) == 1 and not any(part.other_sizes for part in parts):
        return sizes[0]
    more = max(len(sizes) - 3, 0) + max(part.other_sizes for part in parts)
    return ", ".join(f"{size} ({counts[size]:,})" for size in sizes[:3]) + (
        f" and at least {more} more" if more else ""
    )


def _modes(parts: Sequence[SplitReport]) -> str:
    counts: dict[str, int] = {}
    for part in parts:
        for mode, count in part.modes.items():
            name = MODES.get(mode, mode)
            counts[name] = counts.get(name, 0) + count
    return ", ".join(counts if len(counts) == 1 else (f"{name} ({count:,})" for name, count in counts.items()))


def none_sentence(rule: NoneOfThese) -> str:
    """How many images of its classes a model takes for none of them, and how many of others it finds."""
    found = [f"{name.replace('_', ' ')} {100 * share:.0f} %" for name, share in rule.caught.items()]
    if shares := rule.held_out_classes:
        lowest = min(shares, key=shares.__getitem__)
        mean = sum(shares.values()) / len(shares)
        found.insert(
            0,
            f"classes held out of training {100 * mean:.0f} % in the mean "
            f"(lowest {printable(lowest, 40)} {100 * shares[lowest]:.0f} %)",
        )
    return (
        f"none of these: {100 * rule.false_rate:.0f} % of the validation images are taken for none of the classes; "
        f"found of others: {', '.join(found)}"
    )


def slices_sentence(slices: Sequence[WeakSlice], files: Sequence[str]) -> str:
    """On which images a model is less accurate, and how many such images it was trained on; empty for none."""
    return "; ".join(_slice_text(one, files) for one in slices)


def _slice_text(one: WeakSlice, files: Sequence[str]) -> str:
    low, high = (100 * end for end in one.difference)
    rates = [100 * one.correct / one.images, 100 * one.other_correct / one.other_images]
    counts = (
        f"{rates[0]:.2f} % of {one.images:,}, others {rates[1]:.2f} % of {one.other_images:,}; "
        f"{low:.1f} to {high:.1f} points less (95 %, corrected for {one.tested} slices)"
    )
    trained = f"{one.training_images:,} of {counted(one.all_training_images, 'training image')}"
    if one.property == GROUP:
        name = printable(files[one.source] if files else f"image {one.source}")
        return f"less accurate on images of the group of {name}: {counts}; {trained} are of that group"
    end, bound = ("at most", ENDS[one.property][0]) if one.side == "low" else ("at least", ENDS[one.property][1])
    where = f"{bound} images ({one.property} {end} {one.limit:.2g})"
    return f"less accurate on {where}: {counts}; {trained} are like them"

"""Image files and images in memory, read into one array of pixels."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

import numpy as np
from PIL import Image

from imparfait.core.counts import counted
from imparfait.core.errors import UserError
from imparfait.core.large_arrays import in_three_channels, new_array
from imparfait.core.types import Groups, Labels, Pixels, Watch
from imparfait.data.dataset import Split
from imparfait.data.directory import FileSource, Member
from imparfait.data.images.centre_crop import CentreCrop
from imparfait.data.images.decode import Page, page_of, read_pages
from imparfait.data.images.input_format import InputFormat, Normalization, has_dark_border, is_like_mnist
from imparfait.data.images.normalize import normalize
from imparfait.data.table_files import Encoded

MNIST_SIDE = 28  # pixels, for `digit` where no size is given
MAX_NAMED = 10  # unreadable files, or names, in one error
SHAPES_READ = 50  # image files whose shapes decide how all are brought to one size
SQUARE_LOG_RATIO = 0.1  # of width to height, within which an image counts as square
SAME_ORIENTATION_SHARE = 0.9
USUAL_SIDES = (28, 32, 64, 128, 224)  # pixels that --size is proposed with

ImageSource = FileSource | Encoded | Image.Image | np.ndarray
"""An image to read: a file, the bytes of one, or Pillow's image or an array in memory."""


@dataclass(frozen=True, eq=False)
class ImageFiles:
    """The images of one split, not yet read: where each is, and its class; and its group where there are groups."""

    path: str
    """The folder or table that names them, as errors show it."""
    sources: Sequence[ImageSource]
    labels: Sequence[str]
    groups: Sequence[str] | None = None

    def __len__(self) -> int:
        return len(self.sources)

    def joined(self, *others: "ImageFiles") -> "ImageFiles":
        """These images and those of `others`; raises UserError where only some have groups."""
        parts = (self, *others)
        grouped = all_have_groups([(part.path, part.groups) for part in parts])
        return ImageFiles(
            "+".join(part.path for part in parts),
            [source for part in parts for source in part.sources],
            [label for part in parts for label in part.labels],
            [group for part in parts for group in part.groups or ()] if grouped else None,
        )

    def part(self, start: int, stop: int) -> "ImageFiles":
        """The images from `start` on, up to `stop`."""
        groups = self.groups[start:stop] if self.groups else None
        return ImageFiles(self.path, self.sources[start:stop], self.labels[start:stop], groups)


@dataclass(frozen=True)
class Wanted:
    """What was asked for images of files, and of validation and test images, what the training images are."""

    size: int | None = None
    normalization: Normalization | None = None
    """None chooses: `digit` where all files are framed as MNIST's digits; with a size `resize` where nearly all have
    one orientation, else `letterbox`; without one `none`."""
    channels: int | None = None
    """None chooses: 3 where a training image has a colour, else 1."""
    known: InputFormat | None = None
    """The format of the training images, once they are read."""
    skip_unreadable: bool = False
    group: str | None = None
    """A column, "parent" or a pattern of paths tells groups; "none" is none, and None a column called group."""
    centre: CentreCrop | None = None
    """What is done to every image of a file first; the pixels are then kept as they are."""
    whole: bool = False
    """Whether all images are for one evaluation, those for the test included."""
    added: Sequence[Mapping[Split, "ImageFiles"]] = ()
    """Images of other folders and tables, which are added to those of the same split."""

    def format_of(self, first: Page, files: "ImageFiles") -> InputFormat:
        """The format of all images, by the first of them and by the shapes of some."""
        if self.known:
            return self.known
        normalization = self.normalization or "none"
        if self.centre:
            normalization = "none"
        elif self.size and not self.normalization:
            normalization = "resize" if _of_one_orientation(files) else "letterbox"
        channels = 1 if normalization == "digit" else self.channels or first.pixels.shape[2]
        size = self.size or (MNIST_SIDE if normalization == "digit" else None)
        height, width = (size, size) if size else first.pixels.shape[:2]
        return InputFormat(channels=channels, height=height, width=width, normalization=normalization)


@dataclass
class FileFacts:
    """What the image files of a split are: how many of each size and colour mode, and how many were skipped."""

    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    """Height and width in pixels, upright."""
    modes: Counter[str] = field(default_factory=Counter)
    """Pillow's names."""
    skipped: int = 0


@dataclass(frozen=True, eq=False)
class ReadImages:
    """The images of a split as read; `rows` are their places in the list of its files, where some were skipped."""

    pixels: Pixels
    labels: Labels
    groups: Groups | None
    rows: np.ndarray
    form: InputFormat
    remark: str
    """How they were read."""
    facts: FileFacts


class SizesDifferError(UserError):
    """Images have several sizes, and none was given."""


class UnreadableError(UserError):
    """Image files that cannot be read: `broken` has the name and the reason of each, the sentence MAX_NAMED of them."""

    def __init__(self, path: str, broken: Sequence[tuple[str, str]], total: int):
        received = ": ".join(broken[0])
        if len(broken) > 1:
            by_reason: dict[str, list[str]] = {}
            for name, reason in broken[:MAX_NAMED]:
                by_reason.setdefault(reason, []).append(name.removeprefix(f"{path}/"))
            more = f" … and {len(broken) - MAX_NAMED} more" if len(broken) > MAX_NAMED else ""
            named = "; ".join(f"{', '.join(names)} ({reason})" for reason, names in by_reason.items())
            received = f"{path}: {len(broken)} of {counted(total, 'file')} cannot be read: {named}{more}"
        super().__init__(received, hint="--skip-unreadable leaves them out" if len(broken) < total else "")
        self.broken = broken


def read_images(
    files: ImageFiles, classes: Sequence[str], groups: Sequence[str], wanted: Wanted, watch: Watch
) -> ReadImages:
    """All images of a split, with labels as indices of `classes` and groups as indices of `groups`.

    Training images are grey when none of them has a colour. Of a file with several pages the first is read. Memory:
    the pixels, and one file at a time. Raises UserError for files that are no images, all in one error unless they are
    skipped, and where sizes differ and none was given.
    """
    form: InputFormat | None = None
    pixels: np.ndarray | None = None
    counts: Counter[str] = Counter()
    rows: list[int] = []
    broken: list[tuple[str, str]] = []
    facts, to_grey = FileFacts(), 0
    for row, source in enumerate(watch(files.sources, len(files))):
        try:
            page = page_at(source)
            if wanted.centre:
                page = replace(page, pixels=wanted.centre.of(page.pixels))
        except UserError as error:
            broken.append((shown(source), str(error).removeprefix(f"{shown(source)}: ")))
            continue
        form = form or wanted.format_of(page, files)
        _check_size(source, page, form, wanted)
        colour = page.pixels.shape[2] > 1
        if form.channels == 1 and colour and form.normalization != "digit" and not (wanted.known or wanted.channels):
            form = form.model_copy(update={"channels": 3})  # the first that has a colour
            pixels = None if pixels is None else in_three_channels(pixels, len(rows))
        if pixels is None:
            pixels = new_array((len(files), form.channels, form.height, form.width))
        image = normalize(page, form)
        pixels[len(rows)] = image.pixels
        rows.append(row)
        facts.sizes[page.size] += 1
        facts.modes[page.mode] += 1
        to_grey += colour and form.channels == 1
        done = "unchanged" if image.unchanged else "enlarged" if image.scale > 1 else "reduced"
        counts["without a foreground" if image.empty else done] += 1
    facts.skipped = len(broken)
    if broken and not (wanted.skip_unreadable and rows):
        raise UnreadableError(files.path, broken, len(files))
    assert pixels is not None
    assert form is not None
    pixels = pixels[: len(rows)]
    chosen_here = not (wanted.known or wanted.normalization or wanted.centre)
    if chosen_here and counts["unchanged"] == len(rows) and is_like_mnist(pixels):
        form = form.model_copy(update={"normalization": "digit"})
        for index in np.flatnonzero(~has_dark_border(pixels[:, 0])):  # the others are what `digit` makes of them
            pixels[index] = normalize(page_at(files.sources[rows[index]]), form).pixels
    kept = np.array(rows)
    places, group_places = ({name: index for index, name in enumerate(names)} for names in (classes, groups))
    labels = np.array([places[name] for name in files.labels], np.int64)[kept]
    own = np.array([group_places[name] for name in files.groups], np.int64)[kept] if files.groups else None
    done = ", ".join(f"{count:,} {what}" for what, count in counts.items())
    remark = f"{counted(len(rows), 'image')} of {form.height}×{form.width} pixels ({done})"
    remark += f", of each {wanted.centre}" if wanted.centre else ""
    remark += f", {to_grey:,} in colour turned to grey" if to_grey else ""
    remark += f", {len(broken):,} unreadable skipped" if broken else ""
    return ReadImages(pixels, labels, own, kept, form, remark, facts)


def all_have_groups(parts: Sequence[tuple[str, object]]) -> bool:
    """Whether parts of a data set, each its name and its groups, have groups; raises UserError where only some have.

    Images without a group could be of any group, so that one could be on both sides of a split.
    """
    having, without = ([name for name, groups in parts if (groups is None) == lacks] for lacks in (False, True))
    if having and without:
        raise UserError(
            f"{without[0]}: no groups, unlike {having[0]}",
            expected="a column called group in all of them, or in none",
            hint="write --group none to do without groups",
        )
    return not without


def in_parts(files: ImageFiles, images: int) -> Iterator[ImageFiles]:
    """The images of a split in parts of at most `images`, so that not all are in memory at once."""
    for start in range(0, len(files), images):
        yield files.part(start, start + images)


def shown(source: ImageSource) -> str:
    """An image as errors and reports show it: the path of a file."""
    return str(source) if isinstance(source, str | Member | Encoded) else "an image in memory"


def page_at(source: ImageSource) -> Page:
    """The first page of an image."""
    if isinstance(source, Image.Image | np.ndarray):
        return page_of(source)
    if isinstance(source, Member):
        return next(read_pages(source.content(), str(source)))
    if isinstance(source, Encoded):
        return next(read_pages(source.content, source.name))
    return next(read_pages(source))


def _of_one_orientation(files: ImageFiles) -> bool:
    """Whether nearly all images are upright, nearly all lie on their side, or nearly all are square.

    Stretching them then keeps them alike, and no pixel of the input is spent on margins. On crops of digits from 16
    meters, one left out, this was worth nine points (results/LOG.md, photo).
    """
    ratios: list[float] = []
    for source in files.sources[:: len(files) // SHAPES_READ + 1]:
        with suppress(UserError):  # it will be reported when all are read
            height, width = page_at(source).size
            ratios.append(float(np.log(width / height)))
    lying, upright = (
        float(np.mean([sign * ratio > SQUARE_LOG_RATIO for ratio in ratios or [0.0]])) for sign in (1, -1)
    )
    return max(lying, upright, 1 - lying - upright) >= SAME_ORIENTATION_SHARE


def _check_size(source: ImageSource, page: Page, form: InputFormat, wanted: Wanted) -> None:
    """Raises SizesDifferError where pixels are to be kept as they are, and are not as many as of the other images."""
    height, width = page.pixels.shape[:2]
    if form.normalization == "none" and (height, width) != (form.height, form.width):
        side = max(form.height, form.width)
        proposed = max((usual for usual in USUAL_SIDES if usual <= side), default=side)
        name = shown(source)
        raise SizesDifferError(
            f"{name}: {height}×{width} pixels",
            expected=f"{form.height}×{form.width} as of {'--size' if wanted.size else 'the first image'}",
            hint=f"to bring all to one size write --size {proposed} (or another side)"
            + (" without --normalize none" if wanted.normalization == "none" else ""),
        )

"""What a model saw, as an image for people: Pillow only, for the base installation has no matplotlib."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from imparfait.data.images.decode import Page, read_pages
from imparfait.data.images.normalize import NormalizedImage, decode_page
from imparfait.inference.batch import FileResult
from imparfait.inference.predictor import BLANK_MESSAGE, Predictor

MOST = 60  # images on a sheet
SIDE, GAP, TEXT = 168, 20, 40  # pixels of a sheet: an image, between images, below a pair
COLUMNS = 3
PAPER, INK, FAINT, FOUND, DOUBT = "#ffffff", "#1d2530", "#d9dee5", "#D55E00", "#0072B2"  # Okabe and Ito's


def sheet(predicted: Sequence[FileResult], ready: Predictor) -> Image.Image:
    """Each page as it is, with a box around what was cut out, beside what the model saw and said; MOST at most."""
    shown = [each for each in predicted if each.answer][:MOST]
    wide, tall = 2 * SIDE + 8 + 2 * GAP, SIDE + TEXT + GAP
    columns = max(1, min(COLUMNS, len(shown)))
    canvas = Image.new("RGB", (columns * wide, max(1, -(-len(shown) // columns)) * tall + GAP), PAPER)
    draw = ImageDraw.Draw(canvas)
    for place, each in enumerate(shown):
        left, top = place % columns * wide + GAP, place // columns * tall + GAP
        page = next(page for page in read_pages(each.file) if page.number == (each.page or 1))
        decoded = decode_page(page, ready.frame)
        canvas.paste(_with_box(page, decoded), (left, top))
        canvas.paste(_square(_as_image(np.moveaxis(decoded.pixels, 0, 2)), enlarge=True), (left + SIDE + 8, top))
        for start in (left, left + SIDE + 8):
            draw.rectangle((start - 1, top - 1, start + SIDE, top + SIDE), outline=FAINT)
        name = Path(each.file).name + (f", page {each.page}" if each.page else "")
        draw.text((left, top + SIDE + 20), _shortened(name, draw, 2 * SIDE), INK, _font(12))
        draw.text((left, top + SIDE + 3), _words(each), INK if each.answer and each.answer.sure else DOUBT, _font(15))
    return canvas


def _words(predicted: FileResult) -> str:
    assert predicted.answer
    answer = predicted.answer
    said = f"{answer.label}  {answer.score:.1%}"
    if answer.reason == BLANK_MESSAGE:
        return BLANK_MESSAGE
    return said if answer.sure else f"not sure: {said}"


def _with_box(page: Page, decoded: NormalizedImage) -> Image.Image:
    image = _square(_as_image(page.pixels * 255))
    if decoded.polarity is None or decoded.unchanged:
        return image
    height, width = page.size
    scale = min(SIDE / height, SIDE / width)
    across, down = (SIDE - width * scale) / 2, (SIDE - height * scale) / 2
    left, top, right, bottom = (edge * scale for edge in decoded.box)
    box = (max(0, left + across - 2), max(0, top + down - 2), right + across + 1, bottom + down + 1)
    ImageDraw.Draw(image).rectangle(box, outline=FOUND, width=2)
    return image


def _as_image(levels: np.ndarray) -> Image.Image:
    pixels = np.rint(levels).clip(0, 255).astype(np.uint8)
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).convert("RGB")


def _square(image: Image.Image, enlarge: bool = False) -> Image.Image:
    """In a square of side SIDE; enlarged without smoothing, so that pixels are seen as such."""
    scale = min(SIDE / image.width, SIDE / image.height)
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    smooth = Image.Resampling.NEAREST if enlarge else Image.Resampling.BOX if scale < 1 else Image.Resampling.BILINEAR
    into = Image.new("RGB", (SIDE, SIDE), FAINT)
    into.paste(image.resize(size, smooth), ((SIDE - size[0]) // 2, (SIDE - size[1]) // 2))
    return into


def _shortened(text: str, draw: ImageDraw.ImageDraw, width: int) -> str:
    while draw.textlength(text, _font(12)) > width:
        text = "…" + text[2:]
    return text


def _font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)

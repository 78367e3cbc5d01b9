"""A sheet of images beside the model's inputs and predictions, drawn with Pillow only."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from imparfait.core.storage import printable
from imparfait.data.images.decode import Page, read_pages
from imparfait.data.images.encode import image_of, image_of_planes
from imparfait.data.images.normalize import NormalizedImage, normalize
from imparfait.inference.file_results import FileResult
from imparfait.inference.predictor import Predictor

MAX_IMAGES = 60  # on a sheet
SIDE_PIXELS, GAP_PIXELS, TEXT_PIXELS = 168, 20, 40  # an image, between images, below a pair
COLUMNS = 3
PAPER, TEXT, FAINT, BOX, UNSURE = "#ffffff", "#1d2530", "#d9dee5", "#0072B2", "#D55E00"  # Okabe and Ito's


def sheet(results: Sequence[FileResult], predictor: Predictor) -> Image.Image:
    """Each page with a box around its foreground, beside the model's input and its prediction; MAX_IMAGES at most."""
    shown = [result for result in results if result.prediction][:MAX_IMAGES]
    wide, tall = 2 * SIDE_PIXELS + 8 + 2 * GAP_PIXELS, SIDE_PIXELS + TEXT_PIXELS + GAP_PIXELS
    columns = max(1, min(COLUMNS, len(shown)))
    canvas = Image.new("RGB", (columns * wide, max(1, -(-len(shown) // columns)) * tall + GAP_PIXELS), PAPER)
    draw = ImageDraw.Draw(canvas)
    for index, result in enumerate(shown):
        left, top = index % columns * wide + GAP_PIXELS, index // columns * tall + GAP_PIXELS
        page = next(page for page in read_pages(result.file) if page.number == (result.page or 1))
        image = normalize(page, predictor.input_format)
        canvas.paste(framed_page(page, image), (left, top))
        canvas.paste(in_square(image.pixels, enlarge=True), (left + SIDE_PIXELS + 8, top))
        for start in (left, left + SIDE_PIXELS + 8):
            draw.rectangle((start - 1, top - 1, start + SIDE_PIXELS, top + SIDE_PIXELS), outline=FAINT)
        name = printable(Path(result.file).name) + (f", page {result.page}" if result.page else "")
        draw.text((left, top + SIDE_PIXELS + 20), _shortened(name, draw, 2 * SIDE_PIXELS), TEXT, _font(12))
        confident = result.prediction is not None and result.prediction.confident
        draw.text((left, top + SIDE_PIXELS + 3), _caption(result), TEXT if confident else UNSURE, _font(15))
    return canvas


def _caption(result: FileResult) -> str:
    prediction = result.prediction
    assert prediction
    if prediction.blank and prediction.reason:
        return prediction.reason
    label = f"{printable(prediction.label)}  {prediction.score:.1%}"
    return label if prediction.confident else f"unsure: {label}"


def framed_page(page: Page, normalized: NormalizedImage) -> Image.Image:
    """The page in a square of SIDE_PIXELS, with a box around what was cut out of it."""
    image = _square(image_of(page.pixels).convert("RGB"))
    if normalized.polarity is None or normalized.unchanged:
        return image
    height, width = page.size
    scale = min(SIDE_PIXELS / height, SIDE_PIXELS / width)
    across, down = (SIDE_PIXELS - width * scale) / 2, (SIDE_PIXELS - height * scale) / 2
    left, top, right, bottom = (edge * scale for edge in normalized.box)
    box = (max(0, left + across - 2), max(0, top + down - 2), right + across + 1, bottom + down + 1)
    ImageDraw.Draw(image).rectangle(box, outline=BOX, width=2)
    return image


def in_square(pixels: UInt8[np.ndarray, "channels height width"], enlarge: bool = False) -> Image.Image:
    """An image in a square of SIDE_PIXELS; with `enlarge` each pixel stays a square."""
    return _square(image_of_planes(pixels).convert("RGB"), enlarge)


def _square(image: Image.Image, enlarge: bool = False) -> Image.Image:
    """In a square of SIDE_PIXELS; with `enlarge` each pixel stays a square."""
    scale = min(SIDE_PIXELS / image.width, SIDE_PIXELS / image.height)
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    smooth = Image.Resampling.NEAREST if enlarge else Image.Resampling.BOX if scale < 1 else Image.Resampling.BILINEAR
    square = Image.new("RGB", (SIDE_PIXELS, SIDE_PIXELS), FAINT)
    square.paste(image.resize(size, smooth), ((SIDE_PIXELS - size[0]) // 2, (SIDE_PIXELS - size[1]) // 2))
    return square


def _shortened(text: str, draw: ImageDraw.ImageDraw, width: int) -> str:
    while draw.textlength(text, _font(12)) > width:
        text = "…" + text[2:]
    return text


def _font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)

"""Drawing of a page beside the text recognised on it, with Pillow only: the base installation has no matplotlib."""

from itertools import pairwise

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from imparfait.core.counts import counted
from imparfait.data.images.decode import Page
from imparfait.data.images.encode import image_of
from imparfait.data.images.foreground import Box
from imparfait.inference.ocr import NO_DIGITS_MESSAGE, Reading

MIN_SIDE_PIXELS, MAX_SIDE_PIXELS = 900, 1800  # longer side of the drawn page; a smaller one is enlarged by an integer
GAP_PIXELS = 16  # around and between the two images
FOOTER_PIXELS = 40  # for the summary below them
PAPER, TEXT, FRAME = "#ffffff", "#1d2530", "#d9dee5"
CONFIDENT, UNSURE = "#0072B2", "#D55E00"  # Okabe and Ito's; an unsure digit is also dashed, thicker and has a "?"
MARGIN_HEIGHTS = 2  # around all fields, in heights of the tallest
MIN_FONT_PIXELS, MAX_FONT_PIXELS = 13, 120
DASH_PIXELS, DASH_PERIOD_PIXELS = 7, 12


def draw(page: Page, reading: Reading) -> Image.Image:
    """The page with a box around each digit; beside or below it each recognised digit at its place.

    Confident digits have a thin box; the others a thick, dashed box, a question mark and their probability.
    """
    region = _region(page, reading)
    image = _cropped(page, region)
    scale = image.width / (region[2] - region[0])
    is_tall = image.height > image.width
    across, down = (image.width + GAP_PIXELS, 0) if is_tall else (0, image.height + GAP_PIXELS)
    size = image.width + across + 2 * GAP_PIXELS, image.height + down + 2 * GAP_PIXELS + FOOTER_PIXELS
    canvas = Image.new("RGB", size, PAPER)
    canvas.paste(image, (GAP_PIXELS, GAP_PIXELS))
    drawing = ImageDraw.Draw(canvas)
    left, top = GAP_PIXELS + across, GAP_PIXELS + down
    for x, y in ((GAP_PIXELS, GAP_PIXELS), (left, top)):
        drawing.rectangle((x - 1, y - 1, x + image.width, y + image.height), None, FRAME)
    for field in reading.fields:
        heights = sorted(digit.box[3] - digit.box[1] for digit in field.digits)
        font_size = max(MIN_FONT_PIXELS, min(0.9 * scale * heights[len(heights) // 2], MAX_FONT_PIXELS))
        for digit in field.digits:
            box = tuple((edge - region[index % 2]) * scale for index, edge in enumerate(digit.box))
            _outline(drawing, box, GAP_PIXELS, GAP_PIXELS, digit.confident)
            middle = left + (box[0] + box[2]) / 2, top + (box[1] + box[3]) / 2
            colour = TEXT if digit.confident else UNSURE
            drawing.text(middle, digit.label, colour, ImageFont.load_default(font_size), "mm")
            if not digit.confident:
                _outline(drawing, box, left, top, False)
                below = middle[0], top + box[3] + 3
                small = ImageFont.load_default(max(MIN_FONT_PIXELS, font_size / 4))
                drawing.text(below, f"? {digit.score:.0%}", UNSURE, small, "mt")
    drawing.text((GAP_PIXELS, canvas.height - 24), _summary(reading), TEXT, ImageFont.load_default(22), "lm")
    return canvas


def _summary(reading: Reading) -> str:
    if not reading.lines:
        return NO_DIGITS_MESSAGE
    unsure = sum(not field.confident for field in reading.fields)
    numbers = f"{counted(len(reading.fields), 'number')}"
    return f"{numbers}, all confident" if not unsure else f"{numbers}, {unsure} unsure: dashed, with ?"


def _region(page: Page, reading: Reading) -> Box:
    """The part of the page that is drawn: the fields with a margin where they take less than half of it, else all."""
    height, width = page.size
    if not reading.fields:
        return 0, 0, width, height
    left, top, right, bottom = zip(*(field.box for field in reading.fields), strict=True)
    margin = MARGIN_HEIGHTS * max(low - high for low, high in zip(bottom, top, strict=True))
    region = (
        max(0, min(left) - margin), max(0, min(top) - margin),
        min(width, max(right) + margin), min(height, max(bottom) + margin),
    )  # fmt: skip
    is_small = 2 * (region[2] - region[0]) * (region[3] - region[1]) < width * height
    return region if is_small else (0, 0, width, height)


def _cropped(page: Page, region: Box) -> Image.Image:
    left, top, right, bottom = (edge // page.reduced for edge in region)
    image = image_of(page.pixels[top : bottom + 1, left : right + 1]).convert("RGB")
    longer = max(image.size)
    if longer < MIN_SIDE_PIXELS:
        factor = -(-MIN_SIDE_PIXELS // longer)
        return image.resize((image.width * factor, image.height * factor), Image.Resampling.BICUBIC)
    if longer > MAX_SIDE_PIXELS:
        size = (max(1, round(side * MAX_SIDE_PIXELS / longer)) for side in image.size)
        return image.resize((next(size), next(size)), Image.Resampling.BOX)
    return image


def _outline(drawing: ImageDraw.ImageDraw, box: tuple[float, ...], x: float, y: float, confident: bool) -> None:
    """A box drawn a little outside `box`, moved by (x, y); dashed where the digit is not confident."""
    left, top, right, bottom = box[0] + x - 2, box[1] + y - 2, box[2] + x + 1, box[3] + y + 1
    if confident:
        drawing.rectangle((left, top, right, bottom), outline=CONFIDENT, width=2)
        return
    corners = ((left, top), (right, top), (right, bottom), (left, bottom), (left, top))
    for start, end in pairwise(corners):
        side = np.subtract(end, start)
        length = max(float(np.hypot(*side)), 1e-3)
        for begin in np.arange(0, length, DASH_PERIOD_PIXELS):
            dash = [np.add(start, side * min(1.0, at / length)) for at in (begin, begin + DASH_PIXELS)]
            drawing.line([tuple(map(float, point)) for point in dash], UNSURE, 3)

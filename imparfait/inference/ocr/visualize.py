"""What was read, drawn beside the page: Pillow only, for the base installation has no matplotlib."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from imparfait.data.images.decode import Page
from imparfait.data.images.foreground import Box
from imparfait.inference.ocr import NO_DIGITS_MESSAGE, Reading

LEAST, MOST = 900, 1800  # pixels of the page's longer side: a smaller one is enlarged by a whole factor
GAP = 16
PAPER, INK, FAINT = "#ffffff", "#1d2530", "#d9dee5"
SURE, DOUBT = "#0072B2", "#D55E00"  # Okabe and Ito's; what is doubtful is also dashed, thicker and has a "?"
MARGIN = 2  # times the tallest number's height, around all of them
SMALL = 13  # pixels of the smallest letters


def draw(page: Page, reading: Reading) -> Image.Image:
    """The page with a box around each digit, and beside or below it what was read, each digit where it stands.

    Sure digits have a thin box; the others a thick, dashed one, a question mark and how probable they are.
    """
    region = _region(page, reading)
    image = _picture(page, region)
    scale = image.width / (region[2] - region[0])
    beside = image.height > image.width
    across, down = (image.width + GAP, 0) if beside else (0, image.height + GAP)
    canvas = Image.new("RGB", (image.width + across + 2 * GAP, image.height + down + 2 * GAP + 40), PAPER)
    canvas.paste(image, (GAP, GAP))
    pen = ImageDraw.Draw(canvas)
    left, top = GAP + across, GAP + down
    for corner in ((GAP, GAP), (left, top)):
        pen.rectangle((corner[0] - 1, corner[1] - 1, corner[0] + image.width, corner[1] + image.height), None, FAINT)
    for field in reading.fields:
        heights = sorted(digit.box[3] - digit.box[1] for digit in field.digits)
        tall = max(SMALL, min(0.9 * scale * heights[len(heights) // 2], 120))
        for digit in field.digits:
            box = tuple((edge - region[place % 2]) * scale for place, edge in enumerate(digit.box))
            _outline(pen, (box[0] + GAP - 2, box[1] + GAP - 2, box[2] + GAP + 1, box[3] + GAP + 1), digit.sure)
            middle = left + (box[0] + box[2]) / 2, top + (box[1] + box[3]) / 2
            pen.text(middle, digit.label, INK if digit.sure else DOUBT, ImageFont.load_default(tall), "mm")
            if not digit.sure:
                _outline(pen, (box[0] + left - 2, box[1] + top - 2, box[2] + left + 1, box[3] + top + 1), False)
                below = middle[0], top + box[3] + 3
                pen.text(below, f"? {digit.score:.0%}", DOUBT, ImageFont.load_default(max(SMALL, tall / 4)), "mt")
    pen.text((GAP, canvas.height - 24), _legend(reading), INK, ImageFont.load_default(22), "lm")
    return canvas


def _legend(reading: Reading) -> str:
    if not reading.lines:
        return NO_DIGITS_MESSAGE
    doubtful = sum(not field.sure for field in reading.fields)
    told = f"{len(reading.fields)} number{'s' * (len(reading.fields) != 1)}"
    return f"{told}, all sure" if not doubtful else f"{told}, {doubtful} not sure: dashed, with ?"


def _region(page: Page, reading: Reading) -> Box:
    """What of the page is shown: all of it, or all digits with a margin where they take less than half of it."""
    height, width = page.size
    if not reading.fields:
        return 0, 0, width, height
    left, top, right, bottom = zip(*(field.box for field in reading.fields), strict=True)
    margin = MARGIN * max(low - high for low, high in zip(bottom, top, strict=True))
    region = (
        max(0, min(left) - margin), max(0, min(top) - margin),
        min(width, max(right) + margin), min(height, max(bottom) + margin),
    )  # fmt: skip
    few = 2 * (region[2] - region[0]) * (region[3] - region[1]) < width * height
    return region if few else (0, 0, width, height)


def _picture(page: Page, region: Box) -> Image.Image:
    left, top, right, bottom = (edge // page.reduced for edge in region)
    levels = np.rint(page.pixels[top : bottom + 1, left : right + 1] * 255).clip(0, 255).astype(np.uint8)
    image = Image.fromarray(levels[..., 0] if levels.shape[2] == 1 else levels).convert("RGB")
    longer = max(image.size)
    if longer < LEAST:
        times = -(-LEAST // longer)
        return image.resize((image.width * times, image.height * times), Image.Resampling.BICUBIC)
    if longer > MOST:
        size = max(1, round(image.width * MOST / longer)), max(1, round(image.height * MOST / longer))
        return image.resize(size, Image.Resampling.BOX)
    return image


def _outline(pen: ImageDraw.ImageDraw, box: tuple[float, float, float, float], sure: bool) -> None:
    left, top, right, bottom = box
    if sure:
        pen.rectangle(box, outline=SURE, width=2)
        return
    for start, end in (((left, top), (right, top)), ((right, top), (right, bottom)),
                       ((right, bottom), (left, bottom)), ((left, bottom), (left, top))):  # fmt: skip
        away = np.subtract(end, start)
        long = float(np.hypot(*away))
        for begin in np.arange(0, max(long, 1e-3), 12):
            part = [np.add(start, away * min(1.0, at / max(long, 1e-3))) for at in (begin, begin + 7)]
            pen.line([tuple(map(float, point)) for point in part], DOUBT, 3)

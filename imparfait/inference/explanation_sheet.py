"""Drawings of explanations: the image, the model's input, and on it in colour what its prediction depends on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageColor, ImageDraw, ImageFont

from imparfait.core.optional import axes_or_new
from imparfait.core.storage import printable
from imparfait.inference.visualize import FAINT, GAP_PIXELS, PAPER, SIDE_PIXELS, TEXT, UNSURE, framed_page, in_square

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from imparfait.inference.explanation import Explanation

FAINTEST = 0.02  # of probability: a smaller change anywhere in an image is not coloured at full strength
DIMMED = 0.45  # of an image's contrast, below the colours
STRENGTH = 0.85  # of the colours, at most
LOWERS, RAISES = "#D55E00", "#0072B2"  # Okabe and Ito's, which colour-blind readers can distinguish
TITLE_PIXELS, LEGEND_PIXELS, BAR_PIXELS = 62, 66, 12
MAX_NAME = 70  # characters
MOST = 12  # explanations on a sheet


def full_colour(drop: Float[np.ndarray, "height width"]) -> float:
    """The change of probability, 0..1, that has the full colour in a map."""
    return max(FAINTEST, float(np.abs(drop).max()))


def coloured(
    image: UInt8[np.ndarray, "channels height width"],
    drop: Float[np.ndarray, "height width"],
    lowers: str = LOWERS,
    raises: str = RAISES,
) -> UInt8[np.ndarray, "3 height width"]:
    """The image in dim grey, and on it the colour `lowers` where covering lowers the probability, `raises` elsewhere.

    Colours are as strong as the change of probability, relative to `full_colour`.
    """
    grey = DIMMED * image.astype(np.float64).mean(0) + 255 * (1 - DIMMED) / 2
    strength = (STRENGTH * drop / full_colour(drop)).clip(-1, 1)
    hues = [np.array(ImageColor.getrgb(colour), np.float64)[:, None, None] for colour in (lowers, raises)]
    hue = np.where(strength >= 0, *hues)
    return np.asarray((grey + np.abs(strength) * (hue - grey)).round().clip(0, 255), np.uint8)


def explanation_image(explanation: Explanation) -> Image.Image:
    """The image and the model's input, then the map on it, with the class and its probability above, a legend below."""
    panels = []
    if explanation.page is not None and explanation.normalized is not None:
        panels.append(("image", framed_page(explanation.page, explanation.normalized)))
    panels.append(("model's input", in_square(explanation.model_input, enlarge=True)))
    panels.append(("what the prediction depends on", _map_panel(explanation)))
    step = SIDE_PIXELS + GAP_PIXELS
    width = max(len(panels) * step, 2 * step) + GAP_PIXELS
    canvas = Image.new("RGB", (width, TITLE_PIXELS + SIDE_PIXELS + LEGEND_PIXELS + GAP_PIXELS), PAPER)
    draw = ImageDraw.Draw(canvas)
    colour = TEXT if explanation.prediction.confident else UNSURE
    draw.text((GAP_PIXELS, 10), title_of(explanation), colour, _font(18))
    name = printable(Path(explanation.name).name, MAX_NAME)
    about = (name, f"model {printable(explanation.model, MAX_NAME)}")
    draw.text((GAP_PIXELS, 36), " · ".join(filter(None, about)), TEXT, _font(12))
    for index, (caption, panel) in enumerate(panels):
        left = GAP_PIXELS + index * step
        canvas.paste(panel, (left, TITLE_PIXELS))
        draw.rectangle((left - 1, TITLE_PIXELS - 1, left + SIDE_PIXELS, TITLE_PIXELS + SIDE_PIXELS), outline=FAINT)
        draw.text((left, TITLE_PIXELS + SIDE_PIXELS + 4), caption, TEXT, _font(11))
    _draw_legend(canvas, draw, explanation, TITLE_PIXELS + SIDE_PIXELS + 26)
    return canvas


def title_of(explanation: Explanation) -> str:
    """The class and its probability, and whether it is the prediction."""
    prediction, label = explanation.prediction, printable(explanation.label, 40)
    if prediction.blank:
        return f"{prediction.reason}; {label}  {explanation.score:.1%}"
    if explanation.label != prediction.label:
        other = f"{printable(prediction.label, 40)}  {prediction.score:.1%}"
        return f"{label}  {explanation.score:.1%} (predicted: {other})"
    return f"{label}  {explanation.score:.1%}{'' if prediction.confident else '  (unsure)'}"


def explanations_image(explanations: Sequence[Explanation]) -> Image.Image:
    """Several explanations below each other; MOST at most."""
    parts = [explanation_image(each) for each in explanations[:MOST]]
    canvas = Image.new("RGB", (max(part.width for part in parts), sum(part.height for part in parts)), PAPER)
    top = 0
    for part in parts:
        canvas.paste(part, (0, top))
        top += part.height
    return canvas


def plot_explanation(explanation: Explanation, ax: Axes | None) -> Axes:
    """The model's input with the map on it in matplotlib axes, with a colour bar."""
    ax = axes_or_new(ax, 4.2, 3.6)
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, Normalize

    most = 100 * full_colour(explanation.map)
    ax.imshow(coloured(explanation.model_input, explanation.map).transpose(1, 2, 0))
    ax.set_axis_off()
    ax.set_title(title_of(explanation).replace("$", r"\$"), fontsize=11)
    colours = LinearSegmentedColormap.from_list("depends", [RAISES, "#b4b4b4", LOWERS])
    figure = ax.get_figure()
    assert figure is not None
    bar = figure.colorbar(ScalarMappable(Normalize(-most, most), colours), ax=ax)
    bar.set_label("covering it lowers the probability by, points", fontsize=9)
    return ax


def _map_panel(explanation: Explanation) -> Image.Image:
    """The map on the model's input: its pixels stay squares, the map between them is smooth."""
    _, height, width = explanation.model_input.shape
    times = max(1, SIDE_PIXELS // max(height, width))
    pixels = explanation.model_input.repeat(times, 1).repeat(times, 2)
    smooth = Image.fromarray(explanation.map).resize((width * times, height * times), Image.Resampling.BILINEAR)
    return in_square(coloured(pixels, np.asarray(smooth)), enlarge=True)


def _draw_legend(canvas: Image.Image, draw: ImageDraw.ImageDraw, explanation: Explanation, top: int) -> None:
    most = full_colour(explanation.map)
    if float(np.abs(explanation.map).max()) < FAINTEST:
        said = f"No part matters much: none changes the probability by {FAINTEST:.0%} or more."
        draw.text((GAP_PIXELS, top), said, TEXT, _font(12))
        return
    width = canvas.width - 2 * GAP_PIXELS
    scale = np.linspace(-most, most, width, dtype=np.float32)[None].repeat(BAR_PIXELS, 0)
    middle = np.full((1, BAR_PIXELS, width), 128, np.uint8)
    canvas.paste(Image.fromarray(coloured(middle, scale).transpose(1, 2, 0)), (GAP_PIXELS, top))
    texts = (f"raises it by {100 * most:.0f} points", "no change", f"lowers it by {100 * most:.0f} points")
    for share, text in zip((0, 0.5, 1), texts, strict=True):
        place = GAP_PIXELS + share * (width - draw.textlength(text, _font(11)))
        draw.text((place, top + BAR_PIXELS + 3), text, TEXT, _font(11))
    label = printable(explanation.label, 20)
    least = f", at most to {explanation.lowest:.1%}" if explanation.lowest < explanation.score else ""
    said = f"What covering a part does to the probability of {label}: orange lowers it{least}; blue raises it."
    draw.text((GAP_PIXELS, top + BAR_PIXELS + 19), said, TEXT, _font(11))


def _font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)

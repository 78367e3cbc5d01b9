"""Alterations: pure functions from (images, severity, draw) to images; others say corruption or augmentation."""

from imparfait.alterations import blur, edges, geometry, light, noise, pen, strokes
from imparfait.alterations.geometry import geometric, shrunk
from imparfait.alterations.severity import Severity
from imparfait.alterations.table import ONCE, Alteration, Family, Listed

ALTERATIONS: dict[str, Listed] = {
    "geometric": Listed(geometry.geometric, "geometry", protocol=0.5),
    "shrunk": Listed(geometry.shrunk, "geometry", protocol=1.0),
    "rotate": Listed(geometry.rotate, "geometry", mnist_c=0.4 / geometry.ROTATE_MOST),
    "translate": Listed(geometry.translate, "geometry", mnist_c=3 / 28 / geometry.TRANSLATE_MOST),
    "scale": Listed(geometry.scale, "geometry", mnist_c=0.3 / geometry.SCALE_MOST),
    "shear": Listed(geometry.shear, "geometry", mnist_c=0.4 / geometry.SHEAR_MOST),
    "perspective": Listed(geometry.perspective, "geometry"),
    "elastic": Listed(geometry.elastic, "pen"),
    "thin": Listed(pen.thin, "pen"),
    "thicken": Listed(pen.thicken, "pen"),
    "shot_noise": Listed(noise.shot_noise, "noise", mnist_c=(noise.PHOTONS / 3) ** 0.5),
    "impulse_noise": Listed(noise.impulse_noise, "noise", mnist_c=0.17 / noise.IMPULSE_MOST),
    "gaussian_noise": Listed(noise.gaussian_noise, "noise"),
    "glass_blur": Listed(blur.glass_blur, "blur", mnist_c=0.7 / blur.GLASS_SIGMA, in_kind=True),
    "motion_blur": Listed(blur.motion_blur, "blur", mnist_c=3 / blur.MOTION_SIGMA),
    "defocus_blur": Listed(blur.defocus_blur, "blur"),
    "pixelate": Listed(blur.pixelate, "blur"),
    "jpeg": Listed(blur.jpeg, "blur"),
    "brightness": Listed(light.brightness, "light", mnist_c=0.5 / light.BRIGHTNESS_MOST),
    "contrast": Listed(light.contrast, "light"),
    "fog": Listed(light.fog, "light", mnist_c=3 / light.FOG_MOST, in_kind=True),
    "uneven_light": Listed(light.uneven_light, "light"),
    "invert": Listed(light.invert, "light", levels=ONCE),
    "stripe": Listed(strokes.stripe, "strokes", mnist_c=1.0, levels=ONCE),
    "spatter": Listed(
        strokes.spatter, "strokes", mnist_c=strokes.SPATTER_LEAST / (strokes.SPATTER_LEAST - strokes.SPATTER_MOST)
    ),
    "dotted_line": Listed(strokes.dotted_line, "strokes", mnist_c=1 / strokes.DOTTED_MOST),
    "zigzag": Listed(strokes.zigzag, "strokes", mnist_c=1 / strokes.ZIGZAG_MOST),
    "occlusion": Listed(strokes.occlusion, "strokes"),
    "clutter": Listed(strokes.clutter, "strokes"),
    "ruled_lines": Listed(strokes.ruled_lines, "strokes"),
    "canny_edges": Listed(edges.canny_edges, "edges", mnist_c=1.0, levels=ONCE),
    "outline": Listed(edges.outline, "edges"),
}

__all__ = ["ALTERATIONS", "Alteration", "Family", "Listed", "Severity", "geometric", "shrunk"]

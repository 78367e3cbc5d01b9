"""Alterations: pure functions from (images, severity, draw) to images; others say corruption or augmentation."""

from imparfait.corruptions import blur, edges, geometry, noise, overlays, photometric, stroke_width
from imparfait.corruptions.base import ONCE, Alteration, Family, Listed, Severity
from imparfait.corruptions.geometry import geometric, shrunk

ALTERATIONS: dict[str, Listed] = {
    "geometric": Listed(geometry.geometric, "geometry", protocol=0.5),
    "shrunk": Listed(geometry.shrunk, "geometry", protocol=1.0),
    "rotate": Listed(geometry.rotate, "geometry", mnist_c=0.4 / geometry.ROTATE_MOST),
    "translate": Listed(geometry.translate, "geometry", mnist_c=3 / 28 / geometry.TRANSLATE_MOST),
    "scale": Listed(geometry.scale, "geometry", mnist_c=0.3 / geometry.SCALE_MOST),
    "shear": Listed(geometry.shear, "geometry", mnist_c=0.4 / geometry.SHEAR_MOST),
    "perspective": Listed(geometry.perspective, "geometry"),
    "elastic": Listed(geometry.elastic, "pen"),
    "thin": Listed(stroke_width.thin, "pen"),
    "thicken": Listed(stroke_width.thicken, "pen"),
    "shot_noise": Listed(noise.shot_noise, "noise", mnist_c=(noise.PHOTONS / 3) ** 0.5),
    "impulse_noise": Listed(noise.impulse_noise, "noise", mnist_c=0.17 / noise.IMPULSE_MOST),
    "gaussian_noise": Listed(noise.gaussian_noise, "noise"),
    "glass_blur": Listed(blur.glass_blur, "blur", mnist_c=0.7 / blur.GLASS_SIGMA, in_kind=True),
    "motion_blur": Listed(blur.motion_blur, "blur", mnist_c=3 / blur.MOTION_SIGMA),
    "defocus_blur": Listed(blur.defocus_blur, "blur"),
    "pixelate": Listed(blur.pixelate, "blur"),
    "jpeg": Listed(blur.jpeg, "blur"),
    "brightness": Listed(photometric.brightness, "light", mnist_c=0.5 / photometric.BRIGHTNESS_MOST),
    "contrast": Listed(photometric.contrast, "light"),
    "fog": Listed(photometric.fog, "light", mnist_c=3 / photometric.FOG_MOST, in_kind=True),
    "uneven_light": Listed(photometric.uneven_light, "light"),
    "invert": Listed(photometric.invert, "light", levels=ONCE),
    "stripe": Listed(overlays.stripe, "strokes", mnist_c=1.0, levels=ONCE),
    "spatter": Listed(
        overlays.spatter, "strokes", mnist_c=overlays.SPATTER_LEAST / (overlays.SPATTER_LEAST - overlays.SPATTER_MOST)
    ),
    "dotted_line": Listed(overlays.dotted_line, "strokes", mnist_c=1 / overlays.DOTTED_MOST),
    "zigzag": Listed(overlays.zigzag, "strokes", mnist_c=1 / overlays.ZIGZAG_MOST),
    "occlusion": Listed(overlays.occlusion, "strokes"),
    "clutter": Listed(overlays.clutter, "strokes"),
    "ruled_lines": Listed(overlays.ruled_lines, "strokes"),
    "canny_edges": Listed(edges.canny_edges, "edges", mnist_c=1.0, levels=ONCE),
    "outline": Listed(edges.outline, "edges"),
}

__all__ = ["ALTERATIONS", "Alteration", "Family", "Listed", "Severity", "geometric", "shrunk"]

"""Corruptions: pure functions from (images, severity, draw) to images; others say corruption or augmentation."""

from imparfait.corruptions import blur, edges, geometry, noise, overlays, photometric, stroke_width
from imparfait.corruptions.base import ONCE, Corruption, CorruptionFunction, Family, Severity
from imparfait.corruptions.geometry import geometric, shrunk

CORRUPTIONS: dict[str, Corruption] = {
    "geometric": Corruption(geometry.geometric, "geometry", protocol=0.5),
    "shrunk": Corruption(geometry.shrunk, "geometry", protocol=1.0),
    "rotate": Corruption(geometry.rotate, "geometry", mnist_c=0.4 / geometry.ROTATE_MOST),
    "translate": Corruption(geometry.translate, "geometry", mnist_c=3 / 28 / geometry.TRANSLATE_MOST),
    "scale": Corruption(geometry.scale, "geometry", mnist_c=0.3 / geometry.SCALE_MOST),
    "shear": Corruption(geometry.shear, "geometry", mnist_c=0.4 / geometry.SHEAR_MOST),
    "perspective": Corruption(geometry.perspective, "geometry"),
    "elastic": Corruption(geometry.elastic, "pen"),
    "thin": Corruption(stroke_width.thin, "pen"),
    "thicken": Corruption(stroke_width.thicken, "pen"),
    "shot_noise": Corruption(noise.shot_noise, "noise", mnist_c=(noise.PHOTONS / 3) ** 0.5),
    "impulse_noise": Corruption(noise.impulse_noise, "noise", mnist_c=0.17 / noise.IMPULSE_MOST),
    "gaussian_noise": Corruption(noise.gaussian_noise, "noise"),
    "glass_blur": Corruption(blur.glass_blur, "blur", mnist_c=0.7 / blur.GLASS_SIGMA, in_kind=True),
    "motion_blur": Corruption(blur.motion_blur, "blur", mnist_c=3 / blur.MOTION_SIGMA),
    "defocus_blur": Corruption(blur.defocus_blur, "blur"),
    "pixelate": Corruption(blur.pixelate, "blur"),
    "jpeg": Corruption(blur.jpeg, "blur"),
    "brightness": Corruption(photometric.brightness, "light", mnist_c=0.5 / photometric.BRIGHTNESS_MOST),
    "contrast": Corruption(photometric.contrast, "light"),
    "fog": Corruption(photometric.fog, "light", mnist_c=3 / photometric.FOG_MOST, in_kind=True),
    "uneven_light": Corruption(photometric.uneven_light, "light"),
    "invert": Corruption(photometric.invert, "light", levels=ONCE),
    "stripe": Corruption(overlays.stripe, "strokes", mnist_c=1.0, levels=ONCE),
    "spatter": Corruption(
        overlays.spatter, "strokes", mnist_c=overlays.SPATTER_LEAST / (overlays.SPATTER_LEAST - overlays.SPATTER_MOST)
    ),
    "dotted_line": Corruption(overlays.dotted_line, "strokes", mnist_c=1 / overlays.DOTTED_MOST),
    "zigzag": Corruption(overlays.zigzag, "strokes", mnist_c=1 / overlays.ZIGZAG_MOST),
    "occlusion": Corruption(overlays.occlusion, "strokes"),
    "clutter": Corruption(overlays.clutter, "strokes"),
    "ruled_lines": Corruption(overlays.ruled_lines, "strokes"),
    "canny_edges": Corruption(edges.canny_edges, "edges", mnist_c=1.0, levels=ONCE),
    "outline": Corruption(edges.outline, "edges"),
}

__all__ = ["CORRUPTIONS", "Corruption", "CorruptionFunction", "Family", "Severity", "geometric", "shrunk"]

"""Corruptions: pure functions (images, severity, rng) -> images, in registries for digits and for photographs."""

from collections.abc import Sequence

from imparfait.core.errors import UserError, lookup
from imparfait.corruptions import blur, edges, geometry, noise, overlays, photometric, stroke_width
from imparfait.corruptions.base import SINGLE_LEVEL, Corruption, CorruptionFunction, Family, Severity
from imparfait.corruptions.geometry import geometric, shrunk
from imparfait.corruptions.photo import PHOTO, PHOTO_CORRUPTIONS

CORRUPTIONS: dict[str, Corruption] = {
    "geometric": Corruption(geometry.geometric, "geometry", protocol=0.5),
    "shrunk": Corruption(geometry.shrunk, "geometry", protocol=1.0),
    "rotate": Corruption(geometry.rotate, "geometry", mnist_c=0.4 / geometry.MAX_ROTATION_RAD),
    "translate": Corruption(geometry.translate, "geometry", mnist_c=3 / 28 / geometry.MAX_SHIFT),
    "scale": Corruption(geometry.scale, "geometry", mnist_c=0.3 / geometry.MAX_SHRINKING),
    "shear": Corruption(geometry.shear, "geometry", mnist_c=0.4 / geometry.MAX_SHEAR_RAD),
    "perspective": Corruption(geometry.perspective, "geometry"),
    "elastic": Corruption(geometry.elastic, "pen"),
    "thin": Corruption(stroke_width.thin, "pen"),
    "thicken": Corruption(stroke_width.thicken, "pen"),
    "shot_noise": Corruption(noise.shot_noise, "noise", mnist_c=(noise.MIN_PHOTONS / 3) ** 0.5),
    "impulse_noise": Corruption(noise.impulse_noise, "noise", mnist_c=0.17 / noise.MAX_IMPULSES),
    "gaussian_noise": Corruption(noise.gaussian_noise, "noise"),
    "glass_blur": Corruption(blur.glass_blur, "blur", mnist_c=0.7 / blur.MAX_GLASS_SIGMA_PX, in_kind=True),
    "motion_blur": Corruption(blur.motion_blur, "blur", mnist_c=3 / blur.MAX_MOTION_SIGMA_PX),
    "defocus_blur": Corruption(blur.defocus_blur, "blur"),
    "pixelate": Corruption(blur.pixelate, "blur"),
    "jpeg": Corruption(blur.jpeg, "blur"),
    "brightness": Corruption(photometric.brightness, "light", mnist_c=0.5 / photometric.MAX_BRIGHTNESS),
    "contrast": Corruption(photometric.contrast, "light"),
    "fog": Corruption(photometric.fog, "light", mnist_c=3 / photometric.MAX_FOG, in_kind=True),
    "uneven_light": Corruption(photometric.uneven_light, "light"),
    "invert": Corruption(photometric.invert, "light", levels=SINGLE_LEVEL),
    "stripe": Corruption(overlays.stripe, "strokes", mnist_c=1.0, levels=SINGLE_LEVEL),
    "spatter": Corruption(
        overlays.spatter,
        "strokes",
        mnist_c=overlays.FIRST_SPATTER_THRESHOLD / (overlays.FIRST_SPATTER_THRESHOLD - overlays.LAST_SPATTER_THRESHOLD),
    ),
    "dotted_line": Corruption(overlays.dotted_line, "strokes", mnist_c=1 / overlays.MAX_DOTTED_LINES),
    "zigzag": Corruption(overlays.zigzag, "strokes", mnist_c=1 / overlays.MAX_ZIGZAGS),
    "occlusion": Corruption(overlays.occlusion, "strokes"),
    "clutter": Corruption(overlays.clutter, "strokes"),
    "ruled_lines": Corruption(overlays.ruled_lines, "strokes"),
    "canny_edges": Corruption(edges.canny_edges, "edges", mnist_c=1.0, levels=SINGLE_LEVEL),
    "outline": Corruption(edges.outline, "edges"),
}


ALL_CORRUPTIONS: dict[str, Corruption] = {**CORRUPTIONS, **PHOTO_CORRUPTIONS}
"""Those of digits by their names, and those of photographs by theirs, which begin with "photo."."""


def corruption_named(name: str) -> Corruption:
    """The corruption of digits called `name`, or of photographs called photo.NAME; raises UserError for neither."""
    if name not in ALL_CORRUPTIONS and f"{PHOTO}{name}" in PHOTO_CORRUPTIONS:
        raise UserError(f"no corruption of digits is called {name!r}", hint=f"write {PHOTO}{name} for photographs")
    return lookup("corruption", name, ALL_CORRUPTIONS)


def known_names(names: Sequence[str] = ()) -> tuple[str, ...]:
    """These names of corruptions, those of all of digits by default; raises UserError for an unknown one."""
    for name in names:
        corruption_named(name)
    return tuple(names) or tuple(CORRUPTIONS)


__all__ = [
    "ALL_CORRUPTIONS", "CORRUPTIONS", "PHOTO", "PHOTO_CORRUPTIONS", "Corruption", "CorruptionFunction", "Family",
    "Severity", "corruption_named", "geometric", "known_names", "shrunk",
]  # fmt: skip

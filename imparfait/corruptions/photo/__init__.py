"""Corruptions of photographs: ImageNet-C's 15 at their published levels, and ten more; PHOTO_CORRUPTIONS by name."""

from imparfait.corruptions.base import Corruption
from imparfait.corruptions.photo import encoding, exposure, framing, lens, sensor, weather

PHOTO = "photo."
"""What the names of PHOTO_CORRUPTIONS begin with: fog of digits is "fog", fog of photographs is "photo.fog"."""

PHOTO_CORRUPTIONS: dict[str, Corruption] = {
    f"{PHOTO}{name}": corruption
    for name, corruption in {
        "gaussian_noise": Corruption(sensor.gaussian_noise, "noise", imagenet_c=True),
        "shot_noise": Corruption(sensor.shot_noise, "noise", imagenet_c=True),
        "impulse_noise": Corruption(sensor.impulse_noise, "noise", imagenet_c=True),
        "camera_noise": Corruption(sensor.camera_noise, "noise"),
        "defocus_blur": Corruption(lens.defocus_blur, "blur", imagenet_c=True),
        "glass_blur": Corruption(lens.glass_blur, "blur", imagenet_c=True),
        "motion_blur": Corruption(lens.motion_blur, "blur", imagenet_c=True),
        "zoom_blur": Corruption(lens.zoom_blur, "blur", imagenet_c=True),
        "snow": Corruption(weather.snow, "weather", imagenet_c=True),
        "frost": Corruption(weather.frost, "weather", imagenet_c=True, in_kind=True),
        "fog": Corruption(weather.fog, "weather", imagenet_c=True),
        "brightness": Corruption(exposure.brightness, "weather", imagenet_c=True),
        "overexposure": Corruption(exposure.overexposure, "light"),
        "underexposure": Corruption(exposure.underexposure, "light"),
        "white_balance": Corruption(exposure.white_balance, "light", only_colour=True),
        "hue": Corruption(exposure.hue, "light", only_colour=True),
        "contrast": Corruption(exposure.contrast, "digital", imagenet_c=True),
        "elastic_transform": Corruption(framing.elastic_transform, "digital", imagenet_c=True),
        "pixelate": Corruption(encoding.pixelate, "digital", imagenet_c=True),
        "jpeg_compression": Corruption(encoding.jpeg_compression, "digital", imagenet_c=True),
        "webp": Corruption(encoding.webp, "digital"),
        "resize_kernel": Corruption(encoding.resize_kernel, "digital"),
        "rotate": Corruption(framing.rotate, "geometry"),
        "crop": Corruption(framing.crop, "geometry"),
        "occlusion": Corruption(framing.occlusion, "geometry"),
    }.items()
}

__all__ = ["PHOTO", "PHOTO_CORRUPTIONS"]

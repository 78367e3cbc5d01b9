"""Training images on the device that trains: all of them where they fit, else copied there group by group."""

from collections.abc import Callable

import torch
from jaxtyping import Float32, Int64, UInt8
from torch import Tensor

from imparfait.corruptions.base import on_device

RESIDENT_SHARE = 0.25  # of a device's free memory for images; the rest is for weights and activations (not measured)
FREE_BYTES: dict[str, Callable[[], int]] = {
    "cuda": lambda: torch.cuda.mem_get_info()[0],
    "mps": lambda: torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory(),
}

Bytes = UInt8[Tensor, "n channels height width"]


def resident(pixels: Bytes, device: str) -> Bytes:
    """`pixels` on `device` if they fit there, else as they are."""
    if device == "cpu" or pixels.nbytes > RESIDENT_SHARE * FREE_BYTES[device]():
        return pixels
    return pixels.to(device)


def images_at(pixels: Bytes, rows: Int64[Tensor, " m"], device: str) -> Float32[Tensor, "m channels height width"]:
    """These rows of `pixels` as images on `device`; `rows` are on the CPU.

    Pixels that are not there are gathered in pinned memory, from which the copy overlaps with what the device computes.
    """
    if pixels.device.type == device:
        return pixels[on_device(rows, pixels)] / 255
    group = torch.empty(len(rows), *pixels.shape[1:], dtype=torch.uint8, pin_memory=device == "cuda")
    return torch.index_select(pixels, 0, rows, out=group).to(device, non_blocking=True) / 255

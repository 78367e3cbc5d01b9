"""Names that arguments and options take, known without importing what they name, which takes seconds."""

# They complete in the shell, and a wrong one is refused at once. A test compares them with what they name.

from collections.abc import Collection
from pathlib import Path

from imparfait.core.errors import UserError, lookup

CORRUPTIONS = (
    "geometric", "shrunk", "rotate", "translate", "scale", "shear", "perspective", "elastic", "thin", "thicken",
    "shot_noise", "impulse_noise", "gaussian_noise", "glass_blur", "motion_blur", "defocus_blur", "pixelate", "jpeg",
    "brightness", "contrast", "fog", "uneven_light", "invert", "stripe", "spatter", "dotted_line", "zigzag",
    "occlusion", "clutter", "ruled_lines", "canny_edges", "outline",
)  # fmt: skip
PHOTO = "photo."
PHOTO_CORRUPTIONS = tuple(
    PHOTO + name
    for name in (
        "gaussian_noise", "shot_noise", "impulse_noise", "camera_noise", "defocus_blur", "glass_blur", "motion_blur",
        "zoom_blur", "snow", "frost", "fog", "brightness", "overexposure", "underexposure", "white_balance", "hue",
        "contrast", "elastic_transform", "pixelate", "jpeg_compression", "webp", "resize_kernel", "rotate", "crop",
        "occlusion",
    )
)  # fmt: skip
AUGMENTATIONS = (
    "core", "balanced", "study", "clean", "photo", "mirrored_photo", "recoloured_photo", "mirrored_recoloured_photo",
    "mild_photo", "mirrored_mild_photo", "recoloured_mild_photo", "mirrored_recoloured_mild_photo", "shifted_photo",
    "mirrored_shifted_photo", "recoloured_shifted_photo", "mirrored_recoloured_shifted_photo", "everything",
    "mostly_core", "unlike_mnist_c", "without_geometry", "without_pen", "without_noise", "without_blur",
    "without_light", "without_strokes", "without_edges",
)  # fmt: skip
NETWORKS = (
    "petit", "grand", "duo", "resnet", "efficientnet_lite0", "cnn", "cnn_gru", "rnn", "cnn_one_convolution",
    "cnn_no_normalisation", "cnn_no_dropout", "cnn_gru_tanh",
)  # fmt: skip
OWN_NETWORK, TIMM = ".py:", "timm:"  # in the name of a network from a file of the user's, and from timm
BACKBONES = ("efficientnet-lite0",)
SUITES = ("core", "digits", "photo")
RENAMED_SUITES = {"full": "digits"}
DEVICES = ("auto", "cpu", "cuda", "mps")
EXECUTORS = ("serial", "processes", "ray")
METHODS = ("random", "bayes")
LAYOUTS = ("nchw", "nhwc", "nhw", "flat", "flat-chw")
VALUE_RANGES = ("1", "255", "-1..1", "mnist", "imagenet")
FOREGROUNDS = ("light", "dark")
OUTPUTS = ("logits", "probabilities", "sigmoid", "labels")
CHECK_DIGITS = ("luhn", "isbn", "mod11", "iban:")
STAGES = (
    "search cnn", "search cnn_gru", "cross-validation cnn", "cross-validation cnn_gru", "ablation rnn",
    "ablation cnn_one_convolution", "ablation cnn_no_normalisation", "ablation cnn_no_dropout",
    "ablation cnn_gru_tanh", "final cnn, clean only", "final cnn", "final cnn_gru", "final cnn, balanced",
)  # fmt: skip
LARGER_STAGES = (*STAGES, "final cnn_gru, balanced")
QUICK_STAGES = ("final cnn, clean only", "final cnn, clean and corrupted")


def check_name(kind: str, name: str | None, names: Collection[str]) -> None:
    """Raises UserError, which suggests the nearest one, for a name that is not one of `names`; None is no name."""
    if name is not None:
        lookup(kind, name, dict.fromkeys(names))


def check_network(name: str | None) -> None:
    """Raises UserError for the name of a network that is none, and for a file that is not there."""
    if name is None or name.startswith(TIMM):
        return
    if OWN_NETWORK in name:
        file = Path(name.rpartition(":")[0])
        if not file.is_file():
            raise UserError(f"{file}: there is no such file", expected="a Python file", hint="write my_net.py:build")
        return
    check_name("model", name, NETWORKS)


def check_corruptions(names: Collection[str]) -> None:
    """Raises UserError for the name of a corruption that is none."""
    for name in names:
        if name not in CORRUPTIONS and PHOTO + name in PHOTO_CORRUPTIONS:
            raise UserError(f"no corruption of digits is called {name!r}", hint=f"write {PHOTO}{name} for photographs")
        check_name("corruption", name, (*CORRUPTIONS, *PHOTO_CORRUPTIONS))


def check_renamed_suite(name: str) -> None:
    """Raises UserError for the name of a suite of an earlier version, with today's."""
    if name in RENAMED_SUITES:
        today = RENAMED_SUITES[name]
        raise UserError(f"the suite {name} is now {today}", hint=f"write {today}, or photo")

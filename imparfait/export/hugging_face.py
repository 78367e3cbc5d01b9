"""An exported model as a folder in Hugging Face's layout: the model, its classes, its preprocessing and its card."""

import json
import re
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from imparfait.core.errors import UserError
from imparfait.core.names import as_yaml
from imparfait.core.storage import atomic_write
from imparfait.data.images.input_format import InputFormat
from imparfait.export import Exported, export, folder_of
from imparfait.export.hub import results_of, write_results
from imparfait.models.metadata import CONFIG, ExportMetadata

MODEL, PREPROCESSOR, CARD = "model.onnx", "preprocessor_config.json", "README.md"
HAMMING = 5
"""Pillow's number of the filter nearest to averaging areas, as images are reduced in training: on two photographs at
sides of 64 and 224, 0.3 to 1.1 grey levels off on average, 18 at most; Pillow's BOX, of whole pixels, 2.5 and 68."""
NOT_OURS = ("Use", "Files")
"""Sections of a run's card that speak of the run's folder."""
NOTES = {
    "resize": "Larger images are reduced nearly as in training: pixels differ by one grey level in the mean.",
    "letterbox": "In training, images kept their proportions and were padded with the colour of their border. An image "
    "processor has no setting for that: this one stretches them.",
    "none": "In training, images had this size. Others are padded by imparfait, and stretched by this image processor.",
    "digit": "In training, digits were cut out, made light on black, and centred. An image processor has no setting "
    "for that: give it images that have that form already.",
}
"""How far an image processor agrees with our normalization."""
USE = """## Use

```python
import numpy as np
import onnxruntime
from transformers import AutoImageProcessor

processor = AutoImageProcessor.from_pretrained(".")
session = onnxruntime.InferenceSession("model.onnx")
pixels = processor(image, return_tensors="np")["pixel_values"].astype(np.uint8)
probabilities, logits = session.run(None, {{"images": pixels}})
```

The model takes uint8 images `[n, {channels}, {height}, {width}]` and divides by 255 itself. {note}
`imparfait predict photo.png --model model.onnx` prepares every image as in training.

## Files

- `model.onnx`: the model, its calibration and its metadata
- `config.json`: classes and metadata; transformers has no network for it
- `preprocessor_config.json`: how an image processor of transformers prepares images
"""


def export_folder(
    run: str | Path, folder: str | Path, *, network: str | None = None, benchmark: str | None = None
) -> Exported:
    """Write a run, or a pretrained model, as a new folder that can be uploaded to Hugging Face; nothing is uploaded.

    `run` and `network` are as in `export`, whose check of the ONNX file it makes. With a `benchmark` of the Hub,
    DATASET:TASK, the run's accuracies on test images are in .eval_results. Raises UserError as that does, and where
    the folder has files already, or the run no scores on test images for a benchmark.
    """
    folder = Path(folder)
    results = results_of(run, benchmark) if benchmark else {}
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise UserError(f"{folder}: is there already", expected="a new folder")
    source = folder_of(run)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        exported = export(run, "onnx", folder / MODEL, network=network)
    except BaseException:
        with suppress(OSError):  # it has something else by now
            folder.rmdir()
        raise
    card = source / CARD
    files = {
        CONFIG: _json(config_of(exported.metadata)),
        PREPROCESSOR: _json(preprocessor_of(exported.metadata.input)),
        CARD: card_of(exported.metadata, card.read_text(encoding="utf-8") if card.is_file() else ""),
    }
    for name, content in files.items():
        atomic_write(folder / name, content.encode())
    if results:
        write_results(folder, results)
    return replace(exported, path=folder / MODEL)


def config_of(metadata: ExportMetadata) -> dict[str, Any]:
    """config.json: the classes, and under `imparfait` all of the metadata."""
    return {
        "model_type": "imparfait",
        "problem_type": "single_label_classification",
        "id2label": {str(index): name for index, name in enumerate(metadata.classes)},
        "label2id": {name: index for index, name in enumerate(metadata.classes)},
        "num_channels": metadata.input.channels,
        "image_size": [metadata.input.height, metadata.input.width],
        "imparfait": metadata.model_dump(mode="json"),
    }


def preprocessor_of(form: InputFormat) -> dict[str, Any]:
    """preprocessor_config.json: uint8 images of the model's size; it rescales them itself."""
    return {
        "image_processor_type": "ViTImageProcessor",
        "do_convert_rgb": form.channels == 3,
        "do_resize": True,
        "size": {"height": form.height, "width": form.width},
        "resample": HAMMING,
        "do_rescale": False,
        "rescale_factor": 1 / 255,
        "do_normalize": False,
        "image_mean": [0.0] * form.channels,
        "image_std": [1.0] * form.channels,
        "imparfait": {"normalization": form.normalization, "note": NOTES[form.normalization]},
    }


def card_of(metadata: ExportMetadata, card: str) -> str:
    """The run's card for this folder: with front matter, and with how to use these files."""
    for section in NOT_OURS:
        card = re.sub(rf"(?ms)^## {section}\n.*?(?=^## |\Z)", "", card)
    if not card.startswith("---\n"):
        front = "library_name: imparfait\npipeline_tag: image-classification\ntags: [imparfait, robustness]\n"
        quoted = as_yaml(metadata.name)
        front += f"model_name: {quoted}\n"
        card = f"---\n{front}---\n\n{card or f'# {metadata.name}'}"
    form = metadata.input
    use = USE.format(channels=form.channels, height=form.height, width=form.width, note=NOTES[form.normalization])
    return f"{card.rstrip()}\n\n{use}"


def _json(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"

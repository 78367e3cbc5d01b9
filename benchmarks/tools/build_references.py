"""Write the references of the pretrained models, for `imparfait drift LOG --reference digits`.

python benchmarks/tools/build_references.py

What is kept is six numbers, the predicted class and its confidence for each of 800 of MNIST's validation images, which
the models were not trained on; no image can be drawn from them. Each image is read and predicted as the server does
with a file. Run it whenever a pretrained model is replaced; about a minute.
"""

import io

import numpy as np
from PIL import Image

from imparfait.core.types import Pixels
from imparfait.data.images.normalize import NormalizedImage, read_normalized
from imparfait.data.load import load_data
from imparfait.evaluation.observations import SCORE_DIGITS, Reference, drawn_rows, properties_of, write_reference
from imparfait.inference.loading import load_predictor
from imparfait.inference.predictor import Predictor
from imparfait.models.pretrained import PRETRAINED

IMAGES = 800  # under 50 KB; a share is known to within 3.5 points


def main() -> None:
    _, validation = load_data("mnist").train_val()
    few = validation.select(drawn_rows(validation.sources, IMAGES))
    for name, model in PRETRAINED.items():
        reference = as_served(load_predictor(name), few.pixels)
        write_reference(model.folder, reference.model_copy(update={"images": len(validation)}))
        print(f"{name}: {(model.folder / 'reference.json').stat().st_size / 1e3:.1f} kB")


def as_served(predictor: Predictor, pixels: Pixels) -> Reference:
    """The reference of images of `[n, 1, height, width]`, each predicted from a PNG file."""
    pages = [page_of(image, predictor) for image in pixels[:, 0]]
    predictions = predictor.predict(pages)
    index = {name: number for number, name in enumerate(predictor.classes)}
    properties = properties_of(np.stack([page.pixels for page in pages]))
    return Reference(
        model=predictor.name,
        data="MNIST",
        split="validation",
        images=len(pages),
        normalization=predictor.input_format.normalization,
        classes=predictor.classes,
        properties={name: tuple(values.tolist()) for name, values in properties.items()},
        labels=tuple(index[each.label] for each in predictions),
        scores=tuple(round(each.score, SCORE_DIGITS) for each in predictions),
        blank=tuple(row for row, each in enumerate(predictions) if each.blank),
    )


def page_of(image: np.ndarray, predictor: Predictor) -> NormalizedImage:
    """The image as the model takes it from a file."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return next(read_normalized(buffer.getvalue(), predictor.input_format))


if __name__ == "__main__":
    main()

"""Record the predictions of the pretrained models for the self-test image.

python benchmarks/tools/record_self_test.py

Run it whenever a pretrained model is replaced.
"""

import json

from imparfait.inference.loading import load_predictor_with_metadata
from imparfait.models.pretrained import PRETRAINED
from imparfait.serving.self_test import RECORDED, predict_image


def main() -> None:
    recorded = {}
    for name in PRETRAINED:
        predictor, metadata = load_predictor_with_metadata(name)
        assert metadata
        label, probabilities = predict_image(predictor)
        recorded[name] = {"weights": metadata.weights, "label": label, "score": round(float(probabilities.max()), 6)}
    RECORDED.write_text(json.dumps(recorded, indent=2) + "\n")
    print(RECORDED.read_text(), end="")


if __name__ == "__main__":
    main()

"""Record the predictions of the pretrained models for the self-test image.

python benchmarks/tools/record_self_test.py

Run it whenever a pretrained model is replaced.
"""

import json

from imparfait.inference.loading import load_predictor_with_card
from imparfait.models.pretrained import PRETRAINED
from imparfait.serving.self_test import RECORDED, predict_image


def main() -> None:
    recorded = {}
    for name in PRETRAINED:
        predictor, card = load_predictor_with_card(name)
        assert card
        label, probabilities = predict_image(predictor)
        recorded[name] = {"weights": card.weights, "label": label, "score": round(float(probabilities.max()), 6)}
    RECORDED.write_text(json.dumps(recorded, indent=2) + "\n")
    print(RECORDED.read_text(), end="")


if __name__ == "__main__":
    main()

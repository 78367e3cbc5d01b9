"""Record how the models in the package answer the golden picture; to be run whenever one of them is replaced.

python benchmarks/golden.py
"""

import json

from imparfait.inference.pretrained import BOX, open_with_card
from imparfait.serving.self_test import RECORDED, answered


def main() -> None:
    recorded = {}
    for name in BOX:
        ready, card = open_with_card(name)
        assert card
        label, shares = answered(ready)
        recorded[name] = {"weights": card.weights, "label": label, "score": round(float(shares.max()), 6)}
    RECORDED.write_text(json.dumps(recorded, indent=2) + "\n")
    print(RECORDED.read_text(), end="")


if __name__ == "__main__":
    main()

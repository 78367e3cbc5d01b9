"""The self-test of a model before it is served."""

import numpy as np
import pytest
from helpers.server import fake_model, serving

from imparfait.inference.loading import load_predictor_with_metadata
from imparfait.models.pretrained import PRETRAINED
from imparfait.serving import self_test
from imparfait.serving.models import models_for


def test_pretrained_models_pass_the_self_test() -> None:
    for name in PRETRAINED:
        assert self_test.failure(*load_predictor_with_metadata(name)) is None


def test_a_model_that_fails_the_self_test_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = self_test.recorded()
    recorded["digits-clean"]["score"] -= 0.01
    monkeypatch.setattr(self_test, "recorded", lambda: recorded)
    with serving(models_for("digits")) as server:
        response = server.request("GET", "/health/ready")
        assert response.error == (503, "starting")
        assert "digits-clean predicts 7" in response.json["error"]["message"]
        assert server.request("GET", "/health/live").status == 200
    with serving(fake_model(lambda pixels: np.full((len(pixels), 3), np.nan, np.float32))) as server:
        assert server.request("GET", "/health/ready").status == 503

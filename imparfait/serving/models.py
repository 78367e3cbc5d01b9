"""The models that a server loads: the served one, and the baseline it is compared with."""

from imparfait.inference.loading import load_predictor_with_metadata
from imparfait.inference.predictor import Predictor
from imparfait.models.metadata import ExportMetadata
from imparfait.models.pretrained import PRETRAINED

BASELINES = {"digits": "digits-clean"}
"""The model that each model is compared with."""
LoadedModel = tuple[Predictor, ExportMetadata | None]


def models_for(model: str, trust: bool = False, threads: int = 1) -> dict[str, LoadedModel]:
    """The model of this name as "model", and its baseline, if it has one, as "baseline".

    `trust` and `threads` are as in `load_predictor`. Raises UserError if there is no such model.
    """
    models = {"model": load_predictor_with_metadata(model, threads, trust)}
    baseline = BASELINES.get(model)
    if baseline and (PRETRAINED[baseline].folder / "model.onnx").exists():
        models["baseline"] = load_predictor_with_metadata(baseline, threads)
    return models

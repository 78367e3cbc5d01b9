"""Networks of timm as backbones: with a stand-in for timm, and where timm can be imported, with timm itself."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from helpers.bars import draw_bars
from torch import nn

from imparfait.core.compute import ComputeConfig
from imparfait.core.errors import UserError
from imparfait.core.install import install_hint
from imparfait.models import timm_network
from imparfait.models.registry import build
from imparfait.training import linear_probe
from imparfait.training.backbones import load_backbone
from imparfait.training.linear_probe import FINE_TUNE, feature_function, features_of, fit_probe
from imparfait.training.loop import Training

CPU = ComputeConfig(threads=1)
CONFIG = SimpleNamespace(hf_hub_id="timm/small.x", license="apache-2.0")


class FakeNetwork(nn.Module):
    """What timm.create_model returns with num_classes=0; its pooled features are more than those before."""

    num_features = 3
    head_hidden_size = 5

    def __init__(self) -> None:
        super().__init__()
        self.pretrained_cfg = {"mean": (0.5, 0.4, 0.3), "std": (0.2, 0.2, 0.2)}
        self.conv = nn.Conv2d(3, 5, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.conv(images).relu().mean((2, 3))


class FakeHub:
    """huggingface_hub with some files in its cache, and a connection or an error."""

    def __init__(self, kept: str | None, error: Exception | None = None) -> None:
        self.kept, self.error, self.calls = kept, error, []  # type: ignore[var-annotated]

    def try_to_load_from_cache(self, repository: str, name: str) -> object:
        self.calls.append(("cache", repository, name))
        return self.kept or object()  # the value that says: known not to exist

    def hf_hub_url(self, repository: str, name: str) -> str:
        return f"{repository}/{name}"

    def get_hf_file_metadata(self, url: str, timeout: float) -> None:
        self.calls.append(("connect", url, timeout))
        if self.error:
            raise self.error

    def hf_hub_download(self, repository: str, name: str) -> str:
        self.calls.append(("download", repository, name))
        return "/cache/new"


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Calls of a module that stands for timm: names, and the files of weights."""
    calls: list[tuple[str, str]] = []

    def create_model(name: str, pretrained: bool, num_classes: int, **more: Any) -> nn.Module:
        assert num_classes == 0
        overlay = more.get("pretrained_cfg_overlay", {})
        assert pretrained == bool(overlay)
        assert overlay.get("custom_load") in (None, False)
        calls.append((name, overlay.get("file", "")))
        return FakeNetwork()

    fake = SimpleNamespace(
        is_model=lambda name: name in ("small", "bare"),
        create_model=create_model,
        get_pretrained_cfg=lambda name: CONFIG if name == "small" else SimpleNamespace(hf_hub_id=None, license=None),
    )
    monkeypatch.setitem(sys.modules, "timm", fake)  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "huggingface_hub", FakeHub("/cache/old"))  # type: ignore[arg-type]
    return calls


def test_a_network_of_timm_is_a_backbone(calls: list[tuple[str, str]]) -> None:
    backbone = load_backbone("timm:small")
    assert (backbone.model, backbone.licence) == ("timm:small", "apache-2.0")
    model = build("timm:small", channels=1, classes=3)
    backbone.fill(model)
    assert calls == [("small", "/cache/old"), ("small", "")]  # what is built for a run folder fetches nothing
    images = torch.rand(2, 1, 9, 9)
    colours = (images.expand(-1, 3, -1, -1) - torch.tensor([0.5, 0.4, 0.3])[:, None, None]) / 0.2
    assert torch.allclose(model.features(images), model.backbone(colours), atol=1e-6)  # type: ignore[operator]
    assert model(images).shape == (2, 3)


@pytest.mark.parametrize("name", ["hf-hub:someone/network", "local-dir:/tmp", "small/../x", "unknown", ""])
def test_only_names_of_timms_own_list_are_given_to_it(name: str, calls: list[tuple[str, str]]) -> None:
    for function in (load_backbone, lambda name: build(name, channels=3, classes=2)):
        with pytest.raises(UserError, match="timm has no network of this name"):
            function(f"timm:{name}")
    with pytest.raises(UserError, match="has no argument called 'pretrained'"):
        build("timm:small", channels=3, classes=2, model_args={"pretrained": 1})
    assert not calls


def test_weights_are_fetched_once_and_only_as_safetensors(
    calls: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = FakeHub(kept=None)
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)  # type: ignore[arg-type]
    load_backbone("timm:small")
    assert [name for name, *_ in hub.calls] == ["cache", "connect", "download"]
    assert all("model.safetensors" in str(call) for call in hub.calls)
    hub.kept, hub.error = "/cache/new", OSError("no connection")
    load_backbone("timm:small")  # from the cache, without a connection
    assert calls == [("small", "/cache/new")] * 2


def test_without_a_connection_the_error_is_one_sentence_and_nothing_is_repeated(
    calls: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = FakeHub(None, OSError("Name or service\nnot known"))
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)  # type: ignore[arg-type]
    with pytest.raises(UserError) as error:
        load_backbone("timm:small")
    assert error.value.received == (
        "timm:small: its weights (timm/small.x, model.safetensors) cannot be fetched: "
        "OSError: Name or service not known"
    )
    assert error.value.hint == "--backbone efficientnet-lite0 needs none"
    assert [name for name, *_ in hub.calls] == ["cache", "connect"]
    assert not calls


def test_a_network_without_pretrained_weights_is_no_backbone(calls: list[tuple[str, str]]) -> None:
    with pytest.raises(UserError, match="timm:bare: timm has no pretrained weights of it"):
        load_backbone("timm:bare")
    assert not calls


def test_without_timm_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)  # type: ignore[arg-type]
    with pytest.raises(UserError) as error:
        load_backbone("timm:resnet18")
    assert error.value.hint == install_hint("timm")


@pytest.fixture(scope="session")
def real_timm() -> Any:
    """timm itself; skips where it is not installed, or torchvision does not fit torch."""
    try:
        import timm
    except Exception as error:
        pytest.skip(f"timm cannot be imported: {error}")
    return timm


@pytest.fixture
def hub_cache(real_timm: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Puts random weights where huggingface_hub keeps downloaded ones, in its own layout; no connection is allowed."""
    import huggingface_hub
    from huggingface_hub import constants

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", None)

    def put(name: str) -> nn.Module:
        torch.manual_seed(0)
        network: nn.Module = real_timm.create_model(name, pretrained=False)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):  # else residual branches are 0, and activations vanish
                nn.init.uniform_(module.weight, 0.5, 1.5)
                module.momentum = None
        bars = torch.from_numpy(draw_bars(60, 64).pixels).expand(-1, 3, -1, -1) / 255
        with torch.no_grad():
            network.train()((bars - 0.45) / 0.25)
        config: Any = network.pretrained_cfg
        root = tmp_path / "hub" / f"models--{config['hf_hub_id'].replace('/', '--')}"
        (root / "refs").mkdir(parents=True)
        (root / "refs" / "main").write_text("0" * 40)
        folder = root / "snapshots" / ("0" * 40)
        folder.mkdir(parents=True)
        safetensors.torch.save_file(network.state_dict(), folder / timm_network.WEIGHTS)
        return network

    return put


every_network = pytest.mark.parametrize("name", ["resnet18", "mobilenetv3_small_050"])


@every_network
def test_a_real_network_is_filled_with_the_weights_in_the_cache(name: str, hub_cache: Any) -> None:
    published = hub_cache(name).eval()
    backbone = load_backbone(f"timm:{name}")
    assert backbone.licence == "apache-2.0"
    model: Any = build(f"timm:{name}", channels=1, classes=3).eval()
    backbone.fill(model)
    images = torch.rand(2, 1, 64, 64)
    with torch.inference_mode():
        colours = (images.expand(-1, 3, -1, -1) - model.mean) / model.std
        expected = published.forward_head(published.forward_features(colours), pre_logits=True)
        assert torch.allclose(model.features(images), expected, atol=1e-5)


@every_network
def test_a_real_network_is_probed_and_fine_tuned(name: str, hub_cache: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    hub_cache(name)
    backbone, data = load_backbone(f"timm:{name}"), draw_bars(60, 64)
    model: Any = build(f"timm:{name}", channels=1, classes=3)
    backbone.fill(model)
    *_, last = fit_probe(model, data, CPU, backbone.sha256)
    assert last.epoch is not None
    assert last.epoch.loss < np.log(3)  # less than without any features
    features = np.concatenate(list(features_of(model, data.pixels, CPU, backbone.sha256)))
    assert np.allclose(features, feature_function(model, CPU)(data.pixels), atol=1e-5)
    monkeypatch.setattr(linear_probe, "feature_function", None)  # all features are in the cache
    assert len(list(features_of(model, data.pixels, CPU, backbone.sha256))) == 1
    before = {key: value.clone() for key, value in model.state_dict().items()}
    settings = FINE_TUNE.model_copy(update={"model": backbone.model, "epochs": 1, "batch_size": 16})
    for _ in Training(model, data, settings, CPU, validation=draw_bars(9, 64, first_source=99), frozen_statistics=True):
        pass
    changed = {key for key, value in model.state_dict().items() if not torch.equal(value, before[key])}
    assert changed
    assert not any("running" in key or key in ("mean", "std") for key in changed)

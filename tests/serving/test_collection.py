"""Collected images: who may save what, where it lands, that nothing is overwritten, and what trains on it."""

import io
from pathlib import Path

import numpy as np
import pytest
from helpers.server import fake_model, grey, serving
from PIL import Image

from imparfait.core.errors import UserError
from imparfait.inference.predictor import Predictor
from imparfait.serving import collection
from imparfait.serving.collection import Collection
from imparfait.serving.models import LoadedModel


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def pdf() -> bytes:
    """A page as a PDF, which Pillow writes."""
    content = io.BytesIO()
    Image.new("L", (40, 60), 255).save(content, "PDF")
    return content.getvalue()


def with_classes(*classes: str) -> dict[str, LoadedModel]:
    predictor, metadata = fake_model()["model"]
    renamed = Predictor("fake", classes, predictor.input_format, predictor.threshold, predictor.run)
    return {"model": (renamed, metadata)}


def test_without_collect_it_is_refused_with_a_sentence_and_said_in_the_description() -> None:
    with serving() as server:
        response = server.post(grey(200), "/v1/collect?label=dark")
        assert response.error == (403, "forbidden")
        assert "--collect DIR" in response.json["error"]["message"]
        assert server.request("GET", "/v1/model").json["collects"] is False


def test_an_image_is_saved_once_in_the_folder_of_its_class(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    with serving(collect=str(folder)) as server:
        assert server.request("GET", "/v1/model").json["collects"] is True
        first = server.post(grey(200), "/v1/collect?label=dark").json
        again = server.post(grey(200), "/v1/collect?label=dark").json
        other = server.post(grey(100), "/v1/collect?label=bright").json
    assert (first["saved"], again["saved"], other["saved"]) == (True, False, True)
    assert (first["images"], again["images"], other["images"]) == (1, 1, 2)
    assert first["command"] == f"imparfait train --data {folder} --init-from fake"
    saved = files(folder)
    assert [name.partition("/")[0] for name in saved] == ["bright", "dark"]
    with Image.open(folder / saved[1]) as image:
        assert (np.asarray(image) == np.asarray(Image.open(io.BytesIO(grey(200))))).all()


def test_only_pixels_are_saved_and_large_images_are_reduced(tmp_path: Path) -> None:
    image = Image.new("RGB", (3000, 1500), (200, 20, 20))
    exif = Image.Exif()
    exif[0x010E] = "a private description"
    content = io.BytesIO()
    image.save(content, "JPEG", exif=exif)
    with serving(collect=str(tmp_path)) as server:
        assert server.post(content.getvalue(), "/v1/collect?label=dark").json["saved"]
    (name,) = files(tmp_path)
    assert b"private" not in (tmp_path / name).read_bytes()
    with Image.open(tmp_path / name) as saved:
        assert saved.size == (1024, 512)


@pytest.mark.parametrize(
    ("label", "body", "headers", "status"),
    [
        ("nobody", grey(9), {}, 422),
        ("..", grey(9), {}, 422),
        ("", grey(9), {}, 422),
        ("dark", b"no image", {}, 422),
        ("dark", pdf(), {}, 422),
        ("dark", grey(9), {"Origin": "https://evil.example"}, 403),
        ("dark", grey(9), {"Host": "evil.example"}, 403),
    ],
)
def test_what_is_refused_leaves_nothing(
    tmp_path: Path, label: str, body: bytes, headers: dict[str, str], status: int
) -> None:
    with serving(collect=str(tmp_path)) as server:
        response = server.request("POST", f"/v1/collect?label={label}", body, Content_Type="image/png", **headers)
        assert response.status == status
    assert files(tmp_path) == []


@pytest.mark.parametrize("name", ["..", ".", "../x", "a/b", ".hidden", "a\\b"])
def test_a_class_whose_name_is_no_folders_is_refused(tmp_path: Path, name: str) -> None:
    with serving(with_classes(name, "b", "c"), collect=str(tmp_path / "in")) as server:
        response = server.request(
            "POST", f"/v1/collect?label={name.replace('/', '%2F')}", grey(9), Content_Type="image/png"
        )
        assert response.error == (422, "unprocessable")
    assert files(tmp_path) == []


def test_a_full_folder_takes_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collection, "MAX_IMAGES", 2)
    with serving(collect=str(tmp_path)) as server:
        statuses = [server.post(grey(level), "/v1/collect?label=dark").status for level in (50, 100, 150, 50)]
    assert statuses == [200, 200, 413, 200]  # the last is there already
    assert len(files(tmp_path)) == 2


def test_a_folder_that_is_removed_while_serving_is_an_error_that_says_so(tmp_path: Path) -> None:
    with serving(collect=str(tmp_path / "mine")) as server:
        (tmp_path / "mine").rmdir()
        response = server.post(grey(200), "/v1/collect?label=dark")
        assert response.error == (503, "not_saved")
        assert "No such file or directory" in response.json["error"]["message"]


def test_a_folder_that_cannot_be_made_is_a_users_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError) as raised:
        Collection(tmp_path / "file")
    assert raised.value.received.startswith("--collect ")

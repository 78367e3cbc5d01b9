"""What is asked over HTTP is answered as Python answers it, or refused in one shape."""

import base64
import io
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from helpers.fuzz_images import a_broken_picture, png
from helpers.photos import a_seven
from helpers.server import Here, brightness, grey, made_up_result, serving
from PIL import Image

import imparfait
from imparfait.data.images.normalize import Frame, decode
from imparfait.inference.loading import load_predictor_with_card
from imparfait.models.pretrained import PRETRAINED
from imparfait.serving import model_info, schemas, self_test
from imparfait.serving.errors import CODES
from imparfait.serving.service import models_for


def stored(image: np.ndarray, kind: str = "PNG", **how: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, kind, **how)
    return buffer.getvalue()


SEVEN = stored(255 - a_seven(64, 5.0))


@pytest.fixture(scope="module")
def digits() -> Iterator[Here]:
    with serving(models_for("digits")) as here:
        yield here


@pytest.fixture(scope="module")
def plain() -> Iterator[Here]:
    with serving(megabytes=1, megapixels=1) as here:
        yield here


def test_a_picture_is_answered_as_python_answers_it(digits: Here) -> None:
    said = digits.predict(SEVEN).json
    schemas.PredictResponse.model_validate(said, strict=True)
    (page,) = said["pages"]
    (answer,) = imparfait.predict(SEVEN)
    assert said["model"] == "digits"
    assert {name: page[name] for name in ("predictions", "sure")} == answer.to_json()
    assert list(page["probabilities"]) == list("0123456789")
    assert max(page["probabilities"].values()) == page["predictions"][0]["score"]
    assert "dark on light" in page["said"]


def test_what_the_model_saw_is_a_picture_of_its_frame(digits: Here) -> None:
    (page,) = digits.predict(SEVEN).json["pages"]
    start = "data:image/png;base64,"
    assert page["seen"].startswith(start)
    seen = np.asarray(Image.open(io.BytesIO(base64.b64decode(page["seen"].removeprefix(start)))))
    (decoded,) = decode(SEVEN, Frame(28, 28))
    assert (seen == decoded.pixels[0]).all()


def test_the_clean_model_answers_beside_where_it_is_asked_for(digits: Here) -> None:
    assert "beside" not in digits.predict(SEVEN).json
    beside = digits.predict(SEVEN, "/v1/predict?beside=1").json["beside"]
    (answer,) = imparfait.predict(SEVEN, model="digits-clean")
    assert beside.pop("probabilities").keys() == set("0123456789")
    assert beside == {"model": "digits-clean", **answer.to_json()}


def test_each_page_of_a_file_is_answered(plain: Here) -> None:
    pages = [Image.fromarray(np.full((8, 8), level, np.uint8)) for level in (0, 255, 0)]
    buffer = io.BytesIO()
    pages[0].save(buffer, "TIFF", save_all=True, append_images=pages[1:])
    said = plain.predict(buffer.getvalue()).json
    assert [page["sure"] for page in said["pages"]] == [False] * 3
    assert {page["reason"] for page in said["pages"]} == {"nothing is drawn on it"}


@pytest.mark.parametrize(
    ("method", "path", "body", "kind", "expected"),
    [
        ("POST", "/v1/predict", b"", "image/png", (422, "unprocessable")),
        ("POST", "/v1/predict", b"%PDF-1.7", "application/octet-stream", (422, "unprocessable")),
        ("POST", "/v1/predict", SEVEN, "text/html", (415, "unsupported_type")),
        ("POST", "/v1/predict", SEVEN, "multipart/form-data; boundary=x", (415, "unsupported_type")),
        ("POST", "/v1/predict", bytes(1_000_001), "image/png", (413, "too_large")),
        ("POST", "/v1/predict", png(1001, 1000), "image/png", (413, "too_large")),
        ("POST", "/v1/predict?model=digits-clean", SEVEN, "image/png", (422, "unprocessable")),
        ("POST", "/v1/predict?beside=perhaps", SEVEN, "image/png", (422, "unprocessable")),
        ("POST", "/v1/alter?name=rotatoin&severity=1", SEVEN, "image/png", (422, "unprocessable")),
        ("POST", "/v1/alter?name=rotate&severity=2", SEVEN, "image/png", (422, "unprocessable")),
        ("POST", "/v1/alter?name=rotate&severity=nan", SEVEN, "image/png", (422, "unprocessable")),
        ("POST", "/v1/alter", SEVEN, "image/png", (422, "unprocessable")),
        ("POST", "/v1/model", SEVEN, "image/png", (405, "method_not_allowed")),
        ("GET", "/v1/predict", None, "", (405, "method_not_allowed")),
        ("GET", "/v1/predict/../../etc/passwd", None, "", (404, "not_found")),
        ("GET", "/static/..%2Fapp.py", None, "", (404, "not_found")),
        ("GET", "/static/app.py", None, "", (404, "not_found")),
        ("GET", "/docs", None, "", (404, "not_found")),
    ],
)
def test_every_refusal_has_one_shape(
    plain: Here, method: str, path: str, body: bytes | None, kind: str, expected: tuple[int, str]
) -> None:
    assert plain.ask(method, path, body, Content_Type=kind).problem == expected


def test_a_body_without_a_length_is_cut_off_where_it_becomes_too_large(plain: Here) -> None:
    with plain.connect() as connection:
        connection.sendall(b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(11):
            connection.sendall(b"186a0\r\n" + bytes(100_000) + b"\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 413 ")


def test_a_mistaken_name_gets_the_one_that_was_meant(digits: Here) -> None:
    said = digits.predict(SEVEN, "/v1/alter?name=rotatoin&severity=1")
    assert said.json["error"]["message"] == "no corruption is called 'rotatoin'; did you mean 'rotate'?"


def test_pages_elsewhere_can_neither_ask_nor_pretend_to_be_here(plain: Here) -> None:
    own = f"http://127.0.0.1:{plain.port}"
    for origin, expected in ((own, 200), ("http://evil.example", 403), (f"{own}.evil.example", 403), ("null", 403)):
        assert plain.ask("POST", "/v1/predict", grey(9), Origin=origin).status == expected
    for host, expected in (("localhost:1", 200), ("[::1]:8000", 200), ("evil.example", 403), ("", 403), ("[", 403)):
        assert plain.ask("GET", "/health/live", Host=host).status == expected
    assert plain.ask("GET", "/v1/model", Host="evil.example").problem == (403, "foreign_host")


def test_behind_a_proxy_it_answers_to_the_proxys_name_too() -> None:
    with serving(name="digits.example.org") as here:
        for host in ("localhost", "digits.example.org"):
            told = {"Host": host, "Origin": "https://digits.example.org"}
            assert here.ask("POST", "/v1/predict", grey(9), **told).status == 200
        assert here.ask("GET", "/v1/model", Host="evil.example").status == 403
        assert here.ask("POST", "/v1/predict", grey(9), Origin="https://evil.example").status == 403


def test_browsers_are_told_to_load_nothing_from_elsewhere(plain: Here) -> None:
    for path in ("/health/live", "/openapi.json", "/nowhere"):
        headers = plain.ask("GET", path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"


def test_the_pages_files_and_only_those_are_sent(plain: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_info, "WEB", tmp_path)
    (tmp_path / "index.html").write_text("<p>here")
    (tmp_path / "page.js").write_text("'use strict'")
    (tmp_path / "notes.txt").write_text("not for others")
    assert plain.ask("GET", "/").body == b"<p>here"
    script = plain.ask("GET", "/static/page.js")
    assert script.headers["content-type"] == "text/javascript; charset=utf-8"
    assert plain.ask("GET", "/static/page.js", If_None_Match=script.headers["etag"]).status == 304
    assert plain.ask("GET", "/static/notes.txt").status == 404


def test_what_is_served_is_described(digits: Here) -> None:
    said = digits.ask("GET", "/v1/model").json
    model_info.ModelInfo.model_validate(said)
    card = load_predictor_with_card("digits")[1]
    assert card
    assert (said["model"], said["beside"], said["weights"]) == ("digits", "digits-clean", card.weights)
    assert said["classes"] == list("0123456789")
    assert said["corruptions"] == {"available": True, "needs": None}
    assert model_info.Gallery.model_validate(digits.ask("GET", "/v1/gallery").json).images


def test_openapi_describes_pictures_and_every_error(plain: Here) -> None:
    paths = plain.ask("GET", "/openapi.json").json["paths"]
    assert set(paths) >= {"/v1/predict", "/v1/read", "/v1/alter", "/v1/break", "/v1/model", "/health/ready"}
    for path, methods in paths.items():
        for method, operation in methods.items():
            if method == "post":
                assert operation["requestBody"]["content"]["image/*"]["schema"]["format"] == "binary"
                assert {"400", "403", "408", "413", "415", "422", "429", "503"} <= set(operation["responses"])
            for status, told in operation["responses"].items():
                if status != "200":
                    assert told["content"]["application/json"]["schema"]["$ref"].endswith("/Error"), path
                    assert int(status) in CODES


def test_alterations_are_those_of_python(digits: Here) -> None:
    from imparfait.data.corrupted import corrupt
    from imparfait.data.dataset import LabelledImages

    listed = digits.ask("GET", "/v1/corruptions").json["corruptions"]
    assert [each["name"] for each in listed] == list(imparfait.CORRUPTIONS)
    (decoded,) = decode(SEVEN, Frame(28, 28))
    nothing = np.zeros(1, np.int64)
    data = LabelledImages(decoded.pixels[None], nothing, nothing, ("7",), "seven", "test")
    expected = corrupt(data, "impulse_noise", 0.4, seed=3).pixels
    said = digits.predict(SEVEN, "/v1/alter?name=impulse_noise&severity=0.4&seed=3").json
    schemas.Corrupted.model_validate(said, strict=True)
    assert said["altered"] == schemas.data_url(expected[0])
    answer = models_for("digits")["model"][0].predict_pixels(expected)[0]
    assert said["model"]["predictions"] == answer.to_json()["predictions"]
    assert said["beside"]["model"] == "digits-clean"


def test_what_breaks_a_picture_is_found_at_every_level(digits: Here) -> None:
    said = digits.predict(SEVEN, "/v1/break").json
    schemas.Robustness.model_validate(said, strict=True)
    clean = digits.predict(SEVEN).json["pages"][0]["predictions"][0]
    assert len(said["levels"]) == 11
    assert [each["name"] for each in said["corruptions"]] == list(imparfait.CORRUPTIONS)
    for each in said["corruptions"]:
        assert each["levels"] == (said["levels"] if each["degrees"] else [1.0])
        for who in ("model", "beside"):
            labels, at = each[who]["labels"], each[who]["breaks_at"]
            assert len(labels) == len(each[who]["scores"]) == len(each["levels"])
            if each["degrees"] and who == "model":
                assert labels[0] == clean["label"]
                assert each[who]["scores"][0] == pytest.approx(clean["score"], abs=1e-5)
                changed = [level for level, label in zip(each["levels"], labels, strict=True) if label != labels[0]]
                assert at == (changed[0] if changed else None)


def test_requests_that_come_together_are_asked_together_and_answered_as_alone() -> None:
    asked: list[int] = []
    first, go = threading.Event(), threading.Event()

    def slowly(pixels: np.ndarray) -> np.ndarray:
        if not golden_done:
            return brightness(pixels)
        asked.append(len(pixels))
        first.set()
        assert go.wait(20)
        return brightness(pixels)

    golden_done = False
    with serving(made_up_result(slowly)) as here, ThreadPoolExecutor(20) as pool:
        golden_done = True
        answers = [pool.submit(here.predict, grey(250))]
        assert first.wait(20)
        answers += [pool.submit(here.predict, grey(100 + 5 * number)) for number in range(19)]
        here.wait_until(lambda: len(here.server.service.asked["model"].waiting) == 19)
        go.set()
        said = [each.result().json["pages"][0] for each in answers]
    assert asked == [1, 19]
    ready, _ = made_up_result()["model"]
    images = [grey(250), *(grey(100 + 5 * number) for number in range(19))]
    alone = [ready.answers(list(decode(image, ready.frame)))[0] for image in images]
    assert [page["predictions"] for page in said] == [answer.to_json()["predictions"] for answer in alone]


@pytest.mark.parametrize("index", range(0, 60, 10))
def test_broken_pictures_are_refused_in_one_sentence(plain: Here, index: int) -> None:
    for number in range(index, index + 10):
        _, content = a_broken_picture(number)
        said = plain.predict(content)
        if said.status != 200:
            assert said.problem in ((422, "unprocessable"), (413, "too_large"))
            assert said.json["error"]["message"].startswith("the image")


def test_each_model_of_the_package_gives_its_recorded_answer() -> None:
    for name in PRETRAINED:
        assert self_test.what_is_wrong(*load_predictor_with_card(name)) is None


def test_a_model_that_answers_otherwise_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = self_test.record()
    recorded["digits-clean"]["score"] -= 0.01
    monkeypatch.setattr(self_test, "record", lambda: recorded)
    with serving(models_for("digits")) as here:
        said = here.ask("GET", "/health/ready")
        assert said.problem == (503, "starting")
        assert "digits-clean answers 7" in json.loads(said.body)["error"]["message"]
        assert here.ask("GET", "/health/live").status == 200
    with serving(made_up_result(lambda pixels: np.full((len(pixels), 3), np.nan, np.float32))) as here:
        assert here.ask("GET", "/health/ready").status == 503

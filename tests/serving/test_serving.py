"""The HTTP API: its responses equal Python's, and every error has the same form."""

import base64
import io
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from helpers.fuzz_images import broken_image, png
from helpers.photos import a_seven
from helpers.server import INPUT, RunningServer, brightness, fake_model, grey, serving
from PIL import Image

import imparfait
from imparfait.data.images.input_format import InputFormat
from imparfait.data.images.normalize import read_normalized
from imparfait.inference.loading import load_predictor_with_metadata
from imparfait.serving import schemas, static
from imparfait.serving.errors import CODES
from imparfait.serving.models import models_for


def encode(image: np.ndarray, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, kind)
    return file.getvalue()


SEVEN = encode(255 - a_seven(64, 5.0))
MNIST_INPUT = InputFormat(channels=1, height=28, width=28, normalization="digit")


@pytest.fixture(scope="module")
def digits() -> Iterator[RunningServer]:
    with serving(models_for("digits")) as server:
        yield server


@pytest.fixture(scope="module")
def fake() -> Iterator[RunningServer]:
    with serving(megabytes=1, megapixels=1) as server:
        yield server


def test_a_prediction_equals_pythons(digits: RunningServer) -> None:
    response = digits.post(SEVEN).json
    schemas.PredictResponse.model_validate(response, strict=True)
    (page,) = response["pages"]
    (prediction,) = imparfait.predict(SEVEN)
    assert response["model"] == "digits"
    assert {name: page[name] for name in ("predictions", "confident")} == prediction.to_json()
    assert list(page["probabilities"]) == list("0123456789")
    assert max(page["probabilities"].values()) == page["predictions"][0]["score"]
    assert "dark on light" in page["preprocessing"]


def test_the_model_input_is_returned_as_a_png(digits: RunningServer) -> None:
    (page,) = digits.post(SEVEN).json["pages"]
    prefix = "data:image/png;base64,"
    assert page["model_input"].startswith(prefix)
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(page["model_input"].removeprefix(prefix)))))
    (normalized,) = read_normalized(SEVEN, MNIST_INPUT)
    assert (pixels == normalized.pixels[0]).all()


def test_the_baseline_predicts_on_request(digits: RunningServer) -> None:
    assert "baseline" not in digits.post(SEVEN).json
    baseline = digits.post(SEVEN, "/v1/predict?baseline=1").json["baseline"]
    (prediction,) = imparfait.predict(SEVEN, model="digits-clean")
    assert baseline.pop("probabilities").keys() == set("0123456789")
    assert baseline == {"model": "digits-clean", **prediction.to_json()}


def test_every_page_of_a_file_is_predicted(fake: RunningServer) -> None:
    pages = [Image.fromarray(np.full((8, 8), level, np.uint8)) for level in (0, 255, 0)]
    file = io.BytesIO()
    pages[0].save(file, "TIFF", save_all=True, append_images=pages[1:])
    response = fake.post(file.getvalue()).json
    assert [page["confident"] for page in response["pages"]] == [False] * 3
    assert {page["reason"] for page in response["pages"]} == {"no object found on its plain background"}


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
        ("POST", "/v1/predict?baseline=perhaps", SEVEN, "image/png", (422, "unprocessable")),
        ("POST", "/v1/corrupt?name=rotatoin&severity=1", SEVEN, "image/png", (422, "unprocessable")),
        ("POST", "/v1/corrupt?name=rotate&severity=2", SEVEN, "image/png", (422, "unprocessable")),
        ("POST", "/v1/corrupt?name=rotate&severity=nan", SEVEN, "image/png", (422, "unprocessable")),
        ("POST", "/v1/corrupt", SEVEN, "image/png", (422, "unprocessable")),
        ("POST", "/v1/model", SEVEN, "image/png", (405, "method_not_allowed")),
        ("GET", "/v1/predict", None, "", (405, "method_not_allowed")),
        ("GET", "/v1/predict/../../etc/passwd", None, "", (404, "not_found")),
        ("GET", "/static/..%2Fapp.py", None, "", (404, "not_found")),
        ("GET", "/static/app.py", None, "", (404, "not_found")),
        ("GET", "/docs", None, "", (404, "not_found")),
    ],
)
def test_every_error_has_the_same_form(
    fake: RunningServer, method: str, path: str, body: bytes | None, kind: str, expected: tuple[int, str]
) -> None:
    assert fake.request(method, path, body, Content_Type=kind).error == expected


def test_another_content_type_is_told_which_header_to_write(fake: RunningServer) -> None:
    message = fake.request("POST", "/v1/predict", SEVEN, Content_Type="text/html").json["error"]["message"]
    assert message.endswith("expected an image; write the header Content-Type: application/octet-stream")


def test_a_chunked_body_is_rejected_once_it_is_too_large(fake: RunningServer) -> None:
    with fake.connect() as connection:
        connection.sendall(b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(11):
            connection.sendall(b"186a0\r\n" + bytes(100_000) + b"\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 413 ")


def test_a_misspelt_corruption_gets_a_suggestion(digits: RunningServer) -> None:
    response = digits.post(SEVEN, "/v1/corrupt?name=rotatoin&severity=1")
    assert "'rotatoin'; did you mean 'rotate'?" in response.json["error"]["message"]


def test_foreign_origins_and_hosts_are_rejected(fake: RunningServer) -> None:
    own = f"http://127.0.0.1:{fake.port}"
    for origin, status in ((own, 200), ("http://evil.example", 403), (f"{own}.evil.example", 403), ("null", 403)):
        assert fake.request("POST", "/v1/predict", grey(9), Origin=origin).status == status
    for host in ("localhost:1", "LocalHost", "[::1]:8000", "[::1]"):
        assert fake.request("GET", "/health/live", Host=host).status == 200
    for host in ("evil.example", "localhost.evil.example", "", "[", "::1", "[::2]", "evil@localhost"):
        assert fake.request("GET", "/health/live", Host=host).error == (403, "foreign_host")
    assert fake.request("POST", "/v1/predict", grey(9), Origin="null").error == (403, "foreign_origin")


def test_the_name_of_a_reverse_proxy_is_accepted() -> None:
    with serving(name="digits.example.org") as server:
        for host in ("localhost", "digits.example.org"):
            headers = {"Host": host, "Origin": "https://digits.example.org"}
            assert server.request("POST", "/v1/predict", grey(9), **headers).status == 200
        assert server.request("GET", "/v1/model", Host="evil.example").status == 403
        assert server.request("POST", "/v1/predict", grey(9), Origin="https://evil.example").status == 403


def test_every_response_has_security_headers(fake: RunningServer) -> None:
    for path in ("/health/live", "/openapi.json", "/nowhere"):
        headers = fake.request("GET", path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"


def test_only_the_pages_own_files_are_served(
    fake: RunningServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(static, "WEB", tmp_path)
    (tmp_path / "index.html").write_text("<p>page")
    (tmp_path / "page.js").write_text("'use strict'")
    (tmp_path / "notes.txt").write_text("private")
    assert fake.request("GET", "/").body == b"<p>page"
    script = fake.request("GET", "/static/page.js")
    assert script.headers["content-type"] == "text/javascript; charset=utf-8"
    assert fake.request("GET", "/static/page.js", If_None_Match=script.headers["etag"]).status == 304
    assert fake.request("GET", "/static/notes.txt").status == 404


def test_the_served_model_is_described(digits: RunningServer) -> None:
    info = digits.request("GET", "/v1/model").json
    schemas.ModelInfo.model_validate(info)
    metadata = load_predictor_with_metadata("digits")[1]
    assert metadata
    assert (info["model"], info["baseline"], info["weights"]) == ("digits", "digits-clean", metadata.weights)
    assert info["classes"] == list("0123456789")
    assert info["corruptions"] == {"available": True, "needs": None}
    assert schemas.Gallery.model_validate(digits.request("GET", "/v1/gallery").json).images


def test_openapi_describes_image_bodies_and_every_error(fake: RunningServer) -> None:
    paths = fake.request("GET", "/openapi.json").json["paths"]
    inference = {"/v1/predict", "/v1/read", "/v1/corrupt", "/v1/robustness", "/v1/collect"}
    protocol = {path for path in paths if path.startswith("/v2")}
    assert len(protocol) == 6
    assert set(paths) - protocol - {"/metrics"} == {
        *inference,
        "/v1/model",
        "/v1/corruptions",
        "/v1/explain",
        "/v1/gallery",
        "/health/live",
        "/health/ready",
    }
    for path, methods in paths.items():
        for method, operation in methods.items():
            if path in inference:
                assert operation["requestBody"]["content"]["image/*"]["schema"]["format"] == "binary"
            if method == "post":
                assert {"400", "403", "408", "413", "415", "422", "429", "503"} <= set(operation["responses"])
            for status, response in operation["responses"].items():
                if status != "200":
                    assert response["content"]["application/json"]["schema"]["$ref"].endswith("/Error"), path
                    assert int(status) in CODES


def test_a_corrupted_image_equals_pythons(digits: RunningServer) -> None:
    from imparfait.data.corrupted import corrupt
    from imparfait.data.dataset import LabelledImages

    listed = digits.request("GET", "/v1/corruptions").json["corruptions"]
    assert [corruption["name"] for corruption in listed] == list(imparfait.CORRUPTIONS)
    (normalized,) = read_normalized(SEVEN, MNIST_INPUT)
    zeros = np.zeros(1, np.int64)
    data = LabelledImages(normalized.pixels[None], zeros, zeros, ("7",), "seven", "test")
    expected = corrupt(data, "impulse_noise", 0.4, seed=3).pixels
    response = digits.post(SEVEN, "/v1/corrupt?name=impulse_noise&severity=0.4&seed=3").json
    schemas.CorruptResponse.model_validate(response, strict=True)
    assert response["corrupted"] == schemas.data_url(expected[0])
    (prediction,) = models_for("digits")["model"][0].predict_pixels(expected)
    assert response["model"]["predictions"] == prediction.to_json()["predictions"]
    assert response["baseline"]["model"] == "digits-clean"


def test_robustness_has_every_corruption_at_every_severity(digits: RunningServer) -> None:
    framed = encode(a_seven())  # as the model takes it: predicted from one view, as its corrupted copies are
    response = digits.post(framed, "/v1/robustness").json
    schemas.RobustnessResponse.model_validate(response, strict=True)
    clean = digits.post(framed).json["pages"][0]["predictions"][0]
    assert len(response["severities"]) == 11
    assert [row["name"] for row in response["corruptions"]] == list(imparfait.CORRUPTIONS)
    for row in response["corruptions"]:
        assert row["severities"] == (response["severities"] if row["graded"] else [1.0])
        for side in ("model", "baseline"):
            labels, first_failure = row[side]["labels"], row[side]["first_failure"]
            assert len(labels) == len(row[side]["scores"]) == len(row["severities"])
            if row["graded"] and side == "model":
                assert labels[0] == clean["label"]
                assert row[side]["scores"][0] == pytest.approx(clean["score"], abs=1e-5)
                failures = [at for at, label in zip(row["severities"], labels, strict=True) if label != labels[0]]
                assert first_failure == (failures[0] if failures else None)


def test_concurrent_requests_are_batched_and_predicted_as_if_alone() -> None:
    batches: list[int] = []
    started, proceed, tested = threading.Event(), threading.Event(), threading.Event()

    def blocked(pixels: np.ndarray) -> np.ndarray:
        if tested.is_set():
            batches.append(len(pixels))
            started.set()
            assert proceed.wait(20)
        return brightness(pixels)

    images = [grey(250), *(grey(100 + 5 * number) for number in range(19))]
    with serving(fake_model(blocked)) as server, ThreadPoolExecutor(20) as pool:
        tested.set()  # the self-test is over
        responses = [pool.submit(server.post, images[0])]
        assert started.wait(20)
        responses += [pool.submit(server.post, image) for image in images[1:]]
        server.wait_until(lambda: len(server.server.service.models.batcher.queue) == 19)
        proceed.set()
        pages = [response.result().json["pages"][0] for response in responses]
    assert batches == [1, 19]
    predictor, _ = fake_model()["model"]
    alone = [predictor.predict(list(read_normalized(image, INPUT)))[0] for image in images]
    assert [page["predictions"] for page in pages] == [prediction.to_json()["predictions"] for prediction in alone]


def test_a_model_that_returns_no_probabilities_is_an_internal_error(caplog: pytest.LogCaptureFixture) -> None:
    tested = threading.Event()

    def failing(pixels: np.ndarray) -> np.ndarray:
        return brightness(pixels) * np.float32(np.nan if tested.is_set() else 1)

    with serving(fake_model(failing)) as server:
        tested.set()
        assert server.post(grey(9)).error == (500, "internal")
    assert "a request failed" in caplog.text


def test_broken_images_are_user_errors(fake: RunningServer, fuzz_cases: range) -> None:
    for number in fuzz_cases:
        _, content = broken_image(number)
        response = fake.post(content)
        if response.status != 200:
            assert response.error in ((422, "unprocessable"), (413, "too_large"))
            assert response.json["error"]["message"].startswith(("the image", "the file"))

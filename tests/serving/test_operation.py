"""Operating the server: counts, request ids, the access log, tokens, sockets, reloading, inference protocol."""

import http.client
import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from helpers.exported import onnx_of
from helpers.server import Response, RunningServer, brightness, grey, serving

from imparfait.core.errors import UserError
from imparfait.data.images.normalize import NormalizedImage
from imparfait.inference.image_workers import client
from imparfait.inference.image_workers.client import SMALL_BYTES, ImageWorkers
from imparfait.inference.image_workers.worker import WorkerLimits
from imparfait.serving.access_log import image_statistics
from imparfait.serving.listener import listen
from imparfait.serving.settings import MIN_TOKEN, ServingSettings, read_token

TOKEN = "t0" * MIN_TOKEN


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("log") / "access.jsonl"


@pytest.fixture(scope="module")
def server(log: Path) -> Iterator[RunningServer]:
    with serving(log=str(log)) as running:
        yield running


def sample(text: str, start: str) -> float:
    """The value of the line that starts so."""
    (line,) = (line for line in text.splitlines() if line.startswith(start + " "))
    return float(line.rpartition(" ")[2])


def test_metrics_count_requests_labels_and_abstentions(server: RunningServer) -> None:
    before = server.request("GET", "/metrics")
    assert before.headers["content-type"].startswith("text/plain; version=0.0.4")
    for level in (255, 255, 0):
        assert server.post(grey(level)).status == 200
    server.post(b"no image")
    server.request("GET", "/nothing/here")
    text = server.request("GET", "/metrics").body.decode()
    assert sample(text, 'imparfait_requests_total{method="POST",route="/v1/predict",status="200"}') == 3
    assert sample(text, 'imparfait_requests_total{method="POST",route="/v1/predict",status="422"}') == 1
    assert sample(text, 'imparfait_requests_total{method="GET",route="other",status="404"}') == 1
    assert sample(text, 'imparfait_request_seconds_count{route="/v1/predict"}') == 4
    assert sample(text, 'imparfait_request_seconds_bucket{route="/v1/predict",le="+Inf"}') == 4
    assert sample(text, "imparfait_confidence_count") == 3
    assert sample(text, "imparfait_abstentions_total") == 3  # 0.56 bright, or blank
    assert sample(text, "imparfait_ready") == 1
    for line in text.splitlines():
        assert re.fullmatch(r"# (HELP|TYPE) imparfait_\w+ .+|imparfait_\w+(\{.*\})? [0-9.e+-]+", line), line


def test_each_response_has_a_request_id(server: RunningServer) -> None:
    given = server.request("GET", "/health/live", X_Request_ID="job-17.a_b").headers["x-request-id"]
    assert given == "job-17.a_b"
    made = [server.request("GET", path).headers["x-request-id"] for path in ("/", "/nothing")]
    assert len({*made}) == 2
    for bad in ("a b", "x" * 65, "é".encode().decode("latin-1")):
        assert re.fullmatch("[0-9a-f]{32}", server.request("GET", "/", X_Request_ID=bad).headers["x-request-id"])


def test_the_log_has_a_line_per_request_with_statistics_and_no_image(server: RunningServer, log: Path) -> None:
    server.request("POST", "/v1/predict", grey(200), X_Request_ID="logged-1")
    server.request("GET", "/%1b[2J%0aA?secret=1", X_Request_ID="logged-2")
    server.wait_until(lambda: "logged-2" in log.read_text(encoding="utf-8"))
    lines = {line["id"]: line for line in map(json.loads, log.read_text(encoding="utf-8").splitlines())}
    first, second = lines["logged-1"], lines["logged-2"]
    assert (first["method"], first["path"], first["status"]) == ("POST", "/v1/predict", 200)
    assert first["ms"] > 0
    assert set(first["pages"][0]) == {"label", "score", "confident", "image"}
    assert all(0 <= value <= 100 for value in first["pages"][0]["image"].values())
    assert second["path"].isprintable()
    assert "secret" not in log.read_text(encoding="utf-8")
    assert "base64" not in log.read_text(encoding="utf-8")


def test_statistics_tell_darker_moved_and_smaller_images_apart() -> None:
    def of(pixels: np.ndarray) -> dict[str, float]:
        whole = (0, 0, 20, 20)
        return image_statistics(NormalizedImage(pixels[None].astype(np.uint8), None, whole, 1.0, True, False, ""))

    image = np.zeros((20, 20))
    image[6:14, 6:14] = 255
    usual = of(image)
    assert of(image / 2)["brightness"] < usual["brightness"]
    assert of(np.roll(image, 4, 1))["eccentricity"] > usual["eccentricity"] == 0
    small = np.zeros((20, 20))
    small[8:12, 8:12] = 255
    assert of(small)["scale"] < usual["scale"]
    blurred = (image + np.roll(image, 1, 0) + np.roll(image, -1, 0) + np.roll(image, 1, 1) + np.roll(image, -1, 1)) / 5
    assert of(blurred)["sharpness"] < usual["sharpness"]


PATHS = ("/", "/health/live", "/health/ready", "/v1/model", "/metrics", "/static/page.css", "/openapi.json", "/nothing")


@pytest.mark.parametrize("path", PATHS)
def test_head_is_get_without_a_body(path: str, server: RunningServer) -> None:
    get, head = server.request("GET", path), server.request("HEAD", path)
    assert (head.status, head.body) == (get.status, b"")
    if path != "/metrics":
        assert head.headers["content-length"] == get.headers["content-length"]
    assert server.request("HEAD", "/v1/predict").status == 405


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    file = tmp_path_factory.mktemp("token") / "token"
    file.write_text(TOKEN + "\n")
    with serving(token_file=str(file)) as running:
        yield running


@pytest.mark.parametrize(
    "given", ["", "Bearer", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer é", f"Bearer {TOKEN[:-1]}"]
)
def test_without_the_token_only_health_is_answered(given: str, guarded: RunningServer) -> None:
    headers = {"Authorization": given.encode().decode("latin-1")} if given else {}
    for path in ("/", "/v1/model", "/metrics", "/openapi.json", "/v2/models/fake"):
        assert guarded.request("GET", path, **headers).error == (401, "unauthorized")
    assert guarded.request("POST", "/v1/predict", grey(9), **headers).error == (401, "unauthorized")
    for path in ("/health/live", "/health/ready", "/v2/health/ready"):
        assert guarded.request("GET", path, **headers).status == 200


def test_with_the_token_all_is_answered(guarded: RunningServer) -> None:
    assert guarded.request("POST", "/v1/predict", grey(9), Authorization=f"Bearer {TOKEN}").status == 200


@pytest.mark.parametrize("content", ["", "short", "two words of enough letters", "é" * 40])
def test_a_file_without_a_token_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=f"holds no token; expected one word of at least {MIN_TOKEN} ASCII characters"):
        read_token(str(tmp_path / "token"))


def test_the_server_listens_on_a_unix_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    command = [sys.executable, "-m", "imparfait", "serve", "--unix", path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            assert path in process.stdout.readline()
            connection = http.client.HTTPConnection("anything.example")
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.connect(path)
            connection.request("GET", "/health/live")
            assert connection.getresponse().status == 200
            connection.close()
            with pytest.raises(UserError, match="cannot listen on"):
                listen(ServingSettings(unix=path))
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    with listen(ServingSettings(unix=path)):  # one that nobody listens on any more is replaced
        pass


def test_a_path_prefix_that_the_proxy_forwards_is_served() -> None:
    with serving(root_path="/digits") as server:
        assert server.request("POST", "/digits/v1/predict", grey(9)).status == 200
        assert server.request("GET", "/health/live").status == 200
        assert server.request("GET", "/digits/openapi.json").json["servers"] == [{"url": "/digits"}]


def test_sighup_loads_a_changed_model_after_its_self_test(tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    onnx_of([1.0, 0.0, 0.0], file)
    command = [sys.executable, "-m", "imparfait", "serve", str(file), "--port", "0", "--trust"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stderr
        try:
            port = int(process.stdout.readline().split(" (")[0].rpartition(":")[2])

            def label() -> str:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
                connection.request("POST", "/v1/predict", grey(200))
                content = json.loads(connection.getresponse().read())
                connection.close()
                return str(content["pages"][0]["predictions"][0]["label"])

            assert label() == "dark"
            onnx_of([0.0, 1.0, 0.0], file)
            process.send_signal(signal.SIGHUP)
            assert process.stderr.readline() == "imparfait: reloaded\n"
            assert label() == "bright"
            onnx_of([np.nan, 1.0, 0.0], file)
            process.send_signal(signal.SIGHUP)
            assert "not reloaded" in process.stderr.readline()
            assert label() == "bright"
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def tensor(pixels: np.ndarray, **changes: object) -> bytes:
    images = {"name": "images", "shape": [*pixels.shape], "datatype": "UINT8", "data": pixels.reshape(-1).tolist()}
    return json.dumps({"id": "7", "inputs": [images | changes]}).encode()


PIXELS = np.random.default_rng(0).integers(0, 256, (3, 1, 8, 8)).astype(np.uint8)


def infer(server: RunningServer, body: bytes, name: str = "fake") -> Response:
    return server.request("POST", f"/v2/models/{name}/infer", body, Content_Type="application/json")


def test_the_open_inference_protocol_answers_with_probabilities(server: RunningServer) -> None:
    response = infer(server, tensor(PIXELS)).json
    (output,) = response["outputs"]
    assert (response["id"], response["model_name"]) == ("7", "fake")
    assert (output["name"], output["datatype"], output["shape"]) == ("probabilities", "FP32", [3, 3])
    assert np.allclose(np.reshape(output["data"], (3, 3)), brightness(PIXELS))
    nested = json.loads(infer(server, tensor(PIXELS, data=PIXELS.tolist())).body)
    assert nested == response
    model = server.request("GET", "/v2/models/fake").json
    assert model["inputs"] == [{"name": "images", "datatype": "UINT8", "shape": [-1, 1, 8, 8]}]
    assert server.request("GET", "/v2/models/fake/ready").json == {"name": "fake", "ready": True}
    assert server.request("GET", "/v2/health/ready").json == {"ready": True}


WRONG = {
    "another shape": {"shape": [3, 1, 8, 9]},
    "a shape without images": {"shape": [0, 1, 8, 8], "data": []},
    "another type": {"datatype": "FP32"},
    "another name": {"name": "x"},
    "too few numbers": {"data": [1, 2]},
    "over 255": {"data": [256] * 192},
    "negative": {"data": [-1] * 192},
    "fractions": {"data": [0.5] * 192},
    "words": {"data": ["a"] * 192},
    "ragged": {"data": [[1], [1, 2]]},
    "huge": {"data": [10**30] * 192},
}


@pytest.mark.parametrize("changes", WRONG.values(), ids=WRONG)
def test_wrong_tensors_are_refused(changes: dict[str, object], server: RunningServer) -> None:
    assert infer(server, tensor(PIXELS, **changes)).error[0] == 422
    assert infer(server, b"{").error[0] == 422
    assert infer(server, tensor(PIXELS), "other").error == (404, "not_found")
    assert server.request("POST", "/v2/models/fake/infer", b"{}", Content_Type="image/png").error[0] == 415


def test_large_tensors_are_parsed_in_a_worker_with_limits(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """JSON of 20 MB can take seconds and a gigabyte: never in the process that answers others."""
    monkeypatch.setattr(client, "parse_request", lambda *_: pytest.fail("parsed in this process"))
    nested = PIXELS.tolist()
    large = b" " * SMALL_BYTES + tensor(PIXELS, data=nested)
    output = infer(server, large).json["outputs"][0]
    assert np.allclose(np.reshape(output["data"], (3, 3)), brightness(PIXELS))
    assert infer(server, large.replace(b"UINT8", b"INT64")).error[0] == 422
    with ImageWorkers(1, WorkerLimits(cpu_seconds=0.2)) as workers, serving(workers=workers) as limited:
        empty = b"[]," * 2_000_000
        response = infer(limited, tensor(PIXELS, data="x").replace(b'"x"', b"[" + empty + b"[]]"))
        assert response.error == (413, "too_large")
        assert "send fewer images at once" in response.json["error"]["message"]


HOSTS = {
    "127.0.0.1": {"localhost": 200, "127.0.0.1:8000": 200, "[::1]:80": 200, "10.0.0.7": 403, "example.org": 403,
                  "proxy.example": 200, "PROXY.example:443": 200},
    "0.0.0.0": {"localhost": 200, "10.0.0.7:8000": 200, "[fe80::1]": 200, "rebound.example": 403, "b.example": 200},
}  # fmt: skip
NONSENSE_HOSTS = ("evil@localhost", "localhost/../x", "local host", "localhost:", "localhost:x", "", "[::1", "*")


@pytest.mark.parametrize("host", HOSTS)
def test_names_of_other_hosts_are_refused_on_every_address(host: str) -> None:
    with serving(host=host, name="proxy.example, b.example") as server:
        for given, status in HOSTS[host].items():
            assert server.request("GET", "/health/live", Host=given).status == status, given
        for given in NONSENSE_HOSTS:
            with server.connect() as connection:
                connection.sendall(f"GET /health/live HTTP/1.1\r\nHost: {given}\r\nConnection: close\r\n\r\n".encode())
                assert b" 403 " in connection.recv(1000)[:20], given
        with server.connect() as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            assert b" 403 " in connection.recv(1000)[:20]

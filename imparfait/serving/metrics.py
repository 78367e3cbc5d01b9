"""Counts of the server in Prometheus' text format: requests, latencies, predictions, abstentions, confidence."""

import threading
from bisect import bisect_left
from collections.abc import Iterable, Mapping

from imparfait.serving.scoreboard import Counts, Key, Region

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper limits of the latency histogram's buckets."""
CONFIDENCES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
RESTARTS = ("worker_restarts",)
GAUGES = {
    "requests_in_progress": "Requests in progress.",
    "ready": "Whether the service is ready.",
    "workers": "Worker processes that accept connections.",
}


class Metrics:
    """Counts what one process serves; safe to use from several threads."""

    def __init__(self, region: Region) -> None:
        self._region = region
        self._lock = threading.Lock()

    def count_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a response; `route` is a path of the API, not what a client made up."""
        with self._lock:
            self._region.add(("requests", method, route, str(status)))
            self._observe(("seconds", route), seconds, SECONDS)

    def count_prediction(self, label: str, score: float, confident: bool) -> None:
        """Count the prediction for one page."""
        with self._lock:
            self._region.add(("label", label))
            self._region.add(("abstentions",), float(not confident))
            self._observe(("confidence",), score, CONFIDENCES)

    def _observe(self, key: Key, value: float, limits: tuple[float, ...]) -> None:
        self._region.add((*key, "sum"), value)
        self._region.add((*key, str(bisect_left(limits, value))))


def metrics_text(counts: Counts, gauges: Mapping[str, float]) -> str:
    """The counts that `Metrics` has made, of all processes together, and the values of GAUGES."""
    lines = _heading("imparfait_requests_total", "counter", "Responses by method, route and status.")
    for _, method, route, status in _of(counts, "requests"):
        labels = {"method": method, "route": route, "status": status}
        lines.append(f"imparfait_requests_total{_labels(labels)} {counts['requests', method, route, status]:.0f}")
    lines += _heading("imparfait_request_seconds", "histogram", "Time until a response was complete.")
    for route in sorted({key[1] for key in _of(counts, "seconds")}):
        lines += _histogram("imparfait_request_seconds", {"route": route}, counts, ("seconds", route), SECONDS)
    lines += _heading("imparfait_predictions_total", "counter", "Predicted pages by label.")
    for key in _of(counts, "label"):
        lines.append(f"imparfait_predictions_total{_labels({'label': key[1]})} {counts[key]:.0f}")
    lines += _heading("imparfait_abstentions_total", "counter", "Predicted pages of which the model is unsure.")
    lines.append(f"imparfait_abstentions_total {counts['abstentions',]:.0f}")
    lines += _heading("imparfait_confidence", "histogram", "Probability of the predicted label.")
    lines += _histogram("imparfait_confidence", {}, counts, ("confidence",), CONFIDENCES)
    lines += _heading("imparfait_worker_restarts_total", "counter", "Workers that ended and were started again.")
    lines.append(f"imparfait_worker_restarts_total {counts[RESTARTS]:.0f}")
    for name, text in GAUGES.items():
        lines += [*_heading(f"imparfait_{name}", "gauge", text), f"imparfait_{name} {gauges[name]:g}"]
    return "\n".join(lines) + "\n"


def _of(counts: Iterable[Key], kind: str) -> list[Key]:
    return sorted(key for key in counts if key[0] == kind)


def _histogram(
    name: str, labels: Mapping[str, str], counts: Counts, key: Key, limits: tuple[float, ...]
) -> Iterable[str]:
    total = 0.0
    for number, limit in enumerate((*map(str, limits), "+Inf")):
        total += counts[*key, str(number)]
        yield f"{name}_bucket{_labels({**labels, 'le': limit})} {total:.0f}"
    yield f"{name}_sum{_labels(labels)} {counts[*key, 'sum']:.6f}"
    yield f"{name}_count{_labels(labels)} {total:.0f}"


def _heading(name: str, kind: str, text: str) -> list[str]:
    return [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]


def _labels(labels: Mapping[str, str]) -> str:
    """Labels as the format quotes them: a class may have any name."""
    if not labels:
        return ""
    quoted = {name: text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n") for name, text in labels.items()}
    return "{" + ",".join(f'{name}="{text}"' for name, text in quoted.items()) + "}"

"""Counts of the server in Prometheus' text format: requests, latencies, predictions, abstentions, confidence."""

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper limits of the latency histogram's buckets."""
CONFIDENCES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)


class Histogram:
    """Counts of values up to each limit."""

    def __init__(self, limits: tuple[float, ...]) -> None:
        self._limits = limits
        self._counts = [0] * (len(limits) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Count a value."""
        self._counts[bisect_left(self._limits, value)] += 1
        self._sum += value

    def lines(self, name: str, labels: Mapping[str, str]) -> Iterable[str]:
        """The lines of this histogram."""
        total = 0
        for limit, count in zip((*map(str, self._limits), "+Inf"), self._counts, strict=True):
            total += count
            yield f"{name}_bucket{_labels({**labels, 'le': limit})} {total}"
        yield f"{name}_sum{_labels(labels)} {self._sum:.6f}"
        yield f"{name}_count{_labels(labels)} {total}"


class Metrics:
    """The counts of one server process; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: Counter[tuple[str, str, int]] = Counter()
        self._seconds: dict[str, Histogram] = {}
        self._labels: Counter[str] = Counter()
        self._abstentions = 0
        self._confidence = Histogram(CONFIDENCES)

    def count_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a response; `route` is a path of the API, not what a client made up."""
        with self._lock:
            self._requests[method, route, status] += 1
            self._seconds.setdefault(route, Histogram(SECONDS)).observe(seconds)

    def count_prediction(self, label: str, score: float, confident: bool) -> None:
        """Count the prediction for one page."""
        with self._lock:
            self._labels[label] += 1
            self._abstentions += not confident
            self._confidence.observe(score)

    def text(self, gauges: Mapping[str, float]) -> str:
        """All counts and these gauges."""
        with self._lock:
            lines = _heading("imparfait_requests_total", "counter", "Responses by method, route and status.")
            for (method, route, status), count in sorted(self._requests.items()):
                labels = {"method": method, "route": route, "status": str(status)}
                lines.append(f"imparfait_requests_total{_labels(labels)} {count}")
            lines += _heading("imparfait_request_seconds", "histogram", "Time until a response was complete.")
            for route, histogram in sorted(self._seconds.items()):
                lines += histogram.lines("imparfait_request_seconds", {"route": route})
            lines += _heading("imparfait_predictions_total", "counter", "Predicted pages by label.")
            lines += [
                f"imparfait_predictions_total{_labels({'label': k})} {v}" for k, v in sorted(self._labels.items())
            ]
            lines += _heading("imparfait_abstentions_total", "counter", "Predicted pages of which the model is unsure.")
            lines.append(f"imparfait_abstentions_total {self._abstentions}")
            lines += _heading("imparfait_confidence", "histogram", "Probability of the predicted label.")
            lines += self._confidence.lines("imparfait_confidence", {})
        for name, value in gauges.items():
            lines += [*_heading(f"imparfait_{name}", "gauge", name.replace("_", " ").capitalize() + "."),
                      f"imparfait_{name} {value:g}"]  # fmt: skip
        return "\n".join(lines) + "\n"


def _heading(name: str, kind: str, text: str) -> list[str]:
    return [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]


def _labels(labels: Mapping[str, str]) -> str:
    """Labels as the format quotes them: a class may have any name."""
    if not labels:
        return ""
    quoted = {name: text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n") for name, text in labels.items()}
    return "{" + ",".join(f'{name}="{text}"' for name, text in quoted.items()) + "}"

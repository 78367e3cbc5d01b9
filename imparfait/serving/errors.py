"""Answers that are no answers: one shape for all of them."""

import json

from fastapi import Response

CODES = {
    400: "bad_request",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "too_slow",
    413: "too_large",
    415: "unsupported_type",
    422: "unprocessable",
    429: "too_many",
    431: "head_too_large",
    500: "internal",
    501: "not_installed",
    503: "busy",
}
"""What `error.code` is for each status, where nothing more exact is said."""


class RefusedError(Exception):
    """A request that gets no answer: the status, a code for programs, and one sentence for people."""

    def __init__(self, status: int, message: str, code: str | None = None):
        super().__init__(message)
        self.status, self.message, self.code = status, message, code or CODES.get(status, "refused")


def as_body(message: str, code: str) -> bytes:
    """An error as the API writes it."""
    return json.dumps({"error": {"code": code, "message": message}}, ensure_ascii=False).encode()


def headers_of(error: RefusedError) -> dict[str, str]:
    """The headers of an error."""
    again = {"retry-after": "1"} if error.status in (429, 503) else {}
    return {
        "content-type": "application/json",
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        **again,
    }


def refusal(error: RefusedError) -> Response:
    """An error as a response."""
    return Response(as_body(error.message, error.code), error.status, headers_of(error))

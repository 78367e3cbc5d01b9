"""HTTP errors, all with one JSON body: `{"error": {"code": …, "message": …}}`, and perhaps a `detail`."""

import json

from fastapi import Response

CODES = {
    400: "bad_request",
    401: "unauthorized",
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
"""The default `error.code` of each status."""


class ApiError(Exception):
    """An error response: the status, a code for programs, and one sentence for people.

    `detail` is a finer code, where there is one: of a file that is no image, what it is instead.
    """

    def __init__(self, status: int, message: str, code: str | None = None, detail: str = ""):
        super().__init__(message)
        self.detail = detail
        self.status, self.message, self.code = status, message, code or CODES.get(status, "refused")

    def fresh(self) -> "ApiError":
        """An equal error, to raise in place of one that is held.

        An error that is raised again keeps the frames of each time, and with them the requests they worked on.
        """
        return ApiError(self.status, self.message, self.code, self.detail)


def error_body(error: ApiError) -> bytes:
    """The JSON body of an error response."""
    detail = {"detail": error.detail} if error.detail else {}
    return json.dumps({"error": {"code": error.code, **detail, "message": error.message}}, ensure_ascii=False).encode()


def error_headers(error: ApiError) -> dict[str, str]:
    """The headers of an error response."""
    retry = {"retry-after": "1"} if error.status in (429, 503) else {}
    return {
        "content-type": "application/json",
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        **retry,
    }


def error_response(error: ApiError) -> Response:
    """The response that reports an error."""
    return Response(error_body(error), error.status, error_headers(error))

"""Static files: the page and its gallery."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

from fastapi import Response

from imparfait.serving.errors import ApiError
from imparfait.serving.schemas import Gallery

PACKAGE = Path(__file__).parent
WEB, GALLERY = PACKAGE / "web", PACKAGE / "gallery.json"
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".json": "application/json",
}


def page_file(name: str, if_none_match: str) -> Response:
    """A file of the page, or 304 if the client's ETag matches; raises ApiError for any name not in the folder."""
    for path in sorted(WEB.glob("*")):
        if path.name == name and path.suffix in MEDIA_TYPES:
            content = path.read_bytes()
            headers = {"etag": f'"{sha256(content).hexdigest()[:32]}"', "cache-control": "no-cache"}
            if headers["etag"] == if_none_match:
                return Response(None, 304, headers)
            return Response(content, media_type=MEDIA_TYPES[path.suffix], headers=headers)
    raise ApiError(404, "no such file")


def gallery() -> Any:
    """The response of /v1/gallery; without images if none have been built."""
    return json.loads(GALLERY.read_bytes()) if GALLERY.exists() else Gallery().model_dump()

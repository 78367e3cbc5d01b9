"""The HTTP API of `imparfait fields`: the example page, what is read in fields, saving them."""

import asyncio

from fastapi import FastAPI, Request, Response

from imparfait.inference.forms.fields_editor import FieldsEditor
from imparfait.serving.local_app import json_body, make_local_app
from imparfait.serving.responses import json_response


def make_fields_app(editor: FieldsEditor, token: str) -> FastAPI:
    """The ASGI application of an editor of fields, at `/TOKEN/`."""
    app = make_local_app("fields.html", token)
    reading = asyncio.Lock()  # one after the other: each takes all cores

    @app.get(f"/{token}/fields")
    async def fields() -> Response:
        """The fields that are saved already, and the size of the page."""
        return json_response(editor.to_json())

    @app.get(f"/{token}/page")
    async def page() -> Response:
        """The example page."""
        return Response(await asyncio.to_thread(editor.jpeg), media_type="image/jpeg")

    @app.post(f"/{token}/read")
    async def read(request: Request) -> Response:
        """What is read in the fields of the body, a fields.json."""
        content = await json_body(request)
        async with reading:
            return json_response(await asyncio.to_thread(editor.read, content))

    @app.post(f"/{token}/save")
    async def save(request: Request) -> Response:
        """Write the body, a fields.json, to its file."""
        editor.save(await json_body(request))
        return json_response({"fields": len(editor.fields)})

    return app

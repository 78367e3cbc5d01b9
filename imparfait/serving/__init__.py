"""The HTTP API, with a page to draw on: FastAPI on uvicorn, and no torch until a picture is to be altered."""

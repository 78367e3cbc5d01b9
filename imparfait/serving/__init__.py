"""The HTTP API, with a page to draw on: FastAPI on uvicorn, and no torch until an image is to be corrupted."""

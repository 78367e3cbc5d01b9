"""The HTTP API and its demo page: FastAPI on uvicorn; PyTorch is imported for corruptions only."""

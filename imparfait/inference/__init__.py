"""Predictions for images, on ONNX Runtime and without torch."""

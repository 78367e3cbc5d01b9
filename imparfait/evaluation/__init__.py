"""Evaluation: accuracy under corruptions, comparison of models, calibration and OOD detection."""

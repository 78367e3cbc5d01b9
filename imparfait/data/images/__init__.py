"""Image files as pixels: the only decoder, used for training data, prediction, OCR and the server alike."""

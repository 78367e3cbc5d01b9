"""Models, images, corruptions and scores in the interfaces of other tools for testing models."""

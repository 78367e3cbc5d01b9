"""Image classifiers that stay right when the image does not: train, evaluate, load."""

import lazy_loader

# The public names stand one by one in __init__.pyi; each is imported when it is first used, torch with it.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

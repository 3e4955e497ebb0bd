"""Pictures: datasets, transforms, models and operations under the names of ``torchvision``."""

from lazytorch.vision import datasets, io, models, ops, transforms, utils

# Programs ask whether torchvision is new enough.
__version__ = "0.29.0+lazytorch"


def set_image_backend(backend: str) -> None:
    """Only Pillow is there; ValueError for another."""
    if backend != "PIL":
        raise ValueError(f"Invalid backend '{backend}'. lazytorch reads pictures by PIL alone")


def get_image_backend() -> str:
    return "PIL"


__all__ = [
    "datasets", "get_image_backend", "io", "models", "ops", "set_image_backend", "transforms",
    "utils",
]  # fmt: skip

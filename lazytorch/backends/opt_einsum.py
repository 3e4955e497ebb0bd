"""The order of an einsum's products, which the engine finds itself."""

enabled = True
strategy = "auto"


def is_available() -> bool:
    return False

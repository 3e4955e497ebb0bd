"""OpenMP, which is not used: kernels share work among threads of their own."""


def is_available() -> bool:
    return False

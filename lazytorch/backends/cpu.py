"""The processor that the cpu device's kernels are compiled for."""

from codegen.loops.contraction import vector_bytes


def get_cpu_capability() -> str:
    """PyTorch's name of the widest vectors in use: "AVX512", "AVX2" or "DEFAULT"."""
    return {64: "AVX512", 32: "AVX2"}.get(vector_bytes(), "DEFAULT")

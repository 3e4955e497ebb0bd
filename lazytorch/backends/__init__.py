"""What computes: PyTorch's names for libraries behind its operations, and their switches.

None of those libraries is here. Each module says so (``is_available()``), and keeps the switches
that training scripts set; where a switch has a meaning for generated kernels, it has that effect.
"""

from lazytorch.backends import cpu, cuda, cudnn, mkl, mkldnn, mps, openmp, opt_einsum

__all__ = ["cpu", "cuda", "cudnn", "mkl", "mkldnn", "mps", "openmp", "opt_einsum"]

"""What runs: compilers, kernels, plans, memory and devices."""

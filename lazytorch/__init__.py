"""lazytorch: a lazy, graph-compiling tensor engine with PyTorch's face."""

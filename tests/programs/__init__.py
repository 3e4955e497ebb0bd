"""Well-known training programs in plain PyTorch style, each a script that imports torch.

Each has a ``train(device, start)`` that yields a loss a step. What it draws comes from NumPy;
``start`` is called with its models, so that they can be given equal weights.
``python -m tests.programs`` compares their losses here with those in PyTorch.
"""

"""Helpers around tensors and modules, under the names of ``torch.utils``."""

"""Helpers around training: data loading, hooks, and the like."""

from lazytorch.utils import data, dlpack, hooks

__all__ = ["data", "dlpack", "hooks"]

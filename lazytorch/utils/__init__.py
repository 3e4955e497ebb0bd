"""Helpers around training: data loading, hooks, and the like."""

from lazytorch.utils import data, hooks

__all__ = ["data", "hooks"]

"""Helpers around training: data loading, hooks, and the like."""

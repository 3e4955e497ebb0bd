"""Helpers that stand beside the engine: hooks, data, checkpointing."""

"""Loops as C."""

"""Special functions of statistics and physics as C text."""

from __future__ import annotations

from .mathematics_text import CFunction

SPECIAL: list[CFunction] = []

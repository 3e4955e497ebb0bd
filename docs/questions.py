"""The commands of questions.md, run again: ``--update`` writes what they print into the page.

Without it, prints where the page differs. Blocks of ``text machine`` show times and the like, and
are run but not compared.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

PAGE = Path(__file__).with_name("questions.md")
ROOT = PAGE.parents[1]
# A file of the page, or a command and what it printed.
_BLOCK = re.compile(
    r"^```python file=(?P<file>\S+)\n(?P<content>.*?)^```$"
    r"|^```bash\n(?P<command>.*?)^```\n```text(?P<kind>.*?)\n(?P<shown>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


def answers(page: str, folder: Path) -> Iterator[tuple[re.Match[str], str]]:
    """Each command of the page, and what it prints in a folder with the files above it."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("LAZYTORCH_")}
    commands = folder / "commands"
    commands.mkdir()
    (commands / "lazytorch").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m lazytorch "$@"\n')
    (commands / "lazytorch").chmod(0o755)
    path = [str(commands), str(Path(sys.executable).parent), os.environ["PATH"]]
    environment |= {
        "PATH": os.pathsep.join(path),
        "PYTHONPATH": str(ROOT),
        "LAZYTORCH_CACHE_DIR": str(folder / "cache"),
        "LAZYTORCH_NUM_THREADS": "2",
    }
    for block in _BLOCK.finditer(page):
        if block["file"]:
            (folder / block["file"]).write_text(block["content"], encoding="utf-8")
        else:
            done = subprocess.run(
                ["bash", "-c", block["command"]], cwd=folder, env=environment,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300,
            )  # fmt: skip
            lines = [line.rstrip() for line in done.stdout.rstrip().splitlines()]
            yield block, "\n".join(lines) + "\n"


def differences(page: str, folder: Path) -> list[str]:
    """The commands that now print something else than the page shows."""
    return [
        f"{block['command']}shows\n{block['shown']}prints\n{printed}"
        for block, printed in answers(page, folder)
        if (block["kind"].strip() != "machine" and printed != block["shown"])
        or not printed.strip()
        or "Traceback" in printed
    ]


def updated(page: str, folder: Path) -> str:
    """The page with what its commands print now."""
    made, at = "", 0
    for block, printed in answers(page, folder):
        made += page[at : block.start("shown")] + printed
        at = block.end("shown")
    return made + page[at:]


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as temporary:
        if "--update" in sys.argv:
            PAGE.write_text(updated(text, Path(temporary)), encoding="utf-8")
        else:
            print("\n".join(differences(text, Path(temporary))) or "as the page shows")

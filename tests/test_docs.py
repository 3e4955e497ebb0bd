"""docs/ says what is so: walk.md is what walk.py prints, and the examples print what they show."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
pytestmark = pytest.mark.compiler


def run(command: list[str], folder: Path) -> str:
    """What a command prints, in a process of its own with a cache of its own."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("LAZYTORCH_")}
    environment |= {
        "PYTHONPATH": str(ROOT),
        "LAZYTORCH_CACHE_DIR": str(folder / "cache"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    result = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def blocks(page: str, language: str) -> list[str]:
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def test_walk_is_what_its_script_prints(tmp_path: Path) -> None:
    printed = run([sys.executable, str(DOCS / "walk.py")], tmp_path)
    stages = dict(re.findall(r"==== ([\w ]+) ====\n(.*?)(?=\n\n====|\Z)", printed, re.DOTALL))
    text = (DOCS / "walk.md").read_text(encoding="utf-8")
    shown = dict(re.findall(r"<!-- ([\w ]+) -->\n```\w*\n(.*?)\n```", text, re.DOTALL))
    assert list(shown) == list(stages)
    del shown["machine code"]
    for name, stage in shown.items():
        assert stage == stages[name].rstrip(), f"{name}: run python docs/walk.py --update"


def test_examples_of_inspection_print_what_they_show(tmp_path: Path) -> None:
    examples = blocks("inspection.md", "python")
    program = "\nprint('====')\n".join(examples)
    printed = run([sys.executable, "-c", program], tmp_path).split("====\n")
    assert printed == blocks("inspection.md", "text")


def test_commands_of_inspection_run(tmp_path: Path) -> None:
    (script,) = blocks("inspection.md", "python file=step.py")
    (commands,) = blocks("inspection.md", "bash")
    (tmp_path / "step.py").write_text(script)
    run(["bash", "-euo", "pipefail", "-c", commands], tmp_path)
    for folder in ("kernels_of_step", "kernels_again"):
        assert list((tmp_path / folder).rglob("*.c"))


def test_questions_are_answered_as_the_page_shows(tmp_path: Path) -> None:
    specification = importlib.util.spec_from_file_location("questions", DOCS / "questions.py")
    assert specification is not None and specification.loader is not None
    questions = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(questions)
    page = (DOCS / "questions.md").read_text(encoding="utf-8")
    found = questions.differences(page, tmp_path)
    assert not found, "run python docs/questions.py --update\n" + "\n".join(found)


def test_files_that_the_pages_name_exist() -> None:
    names = r"(?:lazytorch|codegen|tests|docs)/[\w/]+\.(?:py|c|md)"
    for page in DOCS.glob("*.md"):
        for name in re.findall(names, page.read_text(encoding="utf-8")):
            assert (ROOT / name).exists(), f"{page.name}: {name}"

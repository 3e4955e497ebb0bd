"""What README.md says is so: its commands parse, its program runs, its settings are all there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from codegen.settings import SETTINGS

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def test_commands_are_single_lines_that_parse() -> None:
    commands = blocks("bash")
    assert ["[examples]" in c for c in commands] == [True, False]
    assert ["[test]" in c for c in commands] == [False, True]
    for command in commands:
        assert command.count("\n") == 1
        subprocess.run(["bash", "-n", "-c", command], check=True)


def test_files_that_commands_name_exist() -> None:
    for name in re.findall(r"examples/\w+\.py|codegen/\w+\.py|\.ci/run", TEXT):
        assert (ROOT / name).exists(), name


def test_ci_takes_the_test_command_from_here() -> None:
    script = (ROOT / ".ci/run").read_text()
    subprocess.run(["bash", "-n", ROOT / ".ci/run"], check=True)
    (pattern,) = re.findall(r'grep -m 1 "(.*?)"', script)
    found = subprocess.run(
        ["grep", "-m", "1", pattern, ROOT / "README.md"], capture_output=True, text=True, check=True
    )
    assert found.stdout == blocks("bash")[1]


def test_every_setting_is_listed() -> None:
    listed = re.findall(r"^\| `(\w*TORCH_\w+)` \|", TEXT, re.MULTILINE)
    assert listed == [setting.name for setting in SETTINGS]


@pytest.mark.compiler
def test_the_program_runs(tmp_path: Path) -> None:
    (program,) = blocks("python")
    result = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    assert float(result.stdout.split()[-1]) < 0.05
    assert (tmp_path / "sine.pt").exists()

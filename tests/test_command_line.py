"""The commands of ``python -m lazytorch``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from codegen import settings
from codegen.runtime.compiler import find_compiler
from lazytorch.__main__ import main

ROOT = Path(__file__).parent.parent


def run(*arguments: str, **variables: str) -> str:
    """What a command prints, in a process of its own."""
    finished = subprocess.run(
        [sys.executable, "-m", "lazytorch", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def test_settings_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["settings"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [s.name for s in settings.SETTINGS]


def test_devices_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["devices"]) == 0
    text = capsys.readouterr().out
    compiler = find_compiler()
    assert "opencl" in text and "interpreter" in text
    assert (compiler.version if compiler else "no C compiler") in text


def test_cache_is_measured_and_cleared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LAZYTORCH_CACHE_DIR", str(tmp_path))
    (tmp_path / "lt-thing").write_bytes(b"x" * (1 << 20))
    (tmp_path / "other").write_bytes(b"")
    assert main(["cache"]) == 0
    assert "1 files, 1.0 MiB" in capsys.readouterr().out
    assert main(["cache", "--clear"]) == 0
    assert [p.name for p in tmp_path.iterdir()] == ["other"]


def test_no_command_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([])
    assert "usage: lazytorch" in capsys.readouterr().err


SCRIPT = """
import sys
import torch
import torch.autograd as autograd
from torch import Tensor
from torch.autograd import grad

assert torch.__name__ == "lazytorch" and autograd is torch.autograd
assert autograd.__spec__.name == "lazytorch.autograd"
try:
    import torch.no_such_module
except ModuleNotFoundError as error:
    assert error.name == "torch.no_such_module"
x = torch.ones(4, requires_grad=True)
assert isinstance(x, Tensor) and __name__ == "__main__"
(x * float(sys.argv[1])).sum().backward()
print(x.grad.tolist(), sys.argv[1:])
"""


def test_run_an_unchanged_script(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    assert run("run", str(script), "3", "-o", "x") == "[3.0, 3.0, 3.0, 3.0] ['3', '-o', 'x']\n"


@pytest.mark.compiler
@pytest.mark.skipif(find_compiler() is None, reason="no C compiler")
def test_kernels_of_a_script(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("import sys, lazytorch\nprint(lazytorch.ones(4).exp().sum(), sys.argv[1:])\n")
    folder = tmp_path / "out"
    assert "['-v']" in run("kernels", str(script), "-o", str(folder), "-v")
    written = {p.name: p.read_text() for p in (folder / "plan_000").glob("*.c")}
    assert "main.c" in written
    del written["main.c"]
    (kernel,) = written.values()
    assert f"{script}:2" in kernel


@pytest.mark.compiler
@pytest.mark.skipif(find_compiler() is None, reason="no C compiler")
def test_plans_are_dumped_where_the_setting_says(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("import torch\ntorch.ones(4).exp().sum().item()\n")
    run("run", str(script), LAZYTORCH_DUMP=str(tmp_path / "out"))
    assert (tmp_path / "out" / "plan_000" / "plan.txt").exists()


WORKERS = """
import multiprocessing
import torch


def work(number):
    return torch.__name__, float(torch.full((3,), number).sum())


if __name__ == "__main__":
    for method in ("fork", "spawn"):
        with multiprocessing.get_context(method).Pool(1) as pool:
            print(pool.map(work, [1.0, 2.0]))
"""


def test_run_a_module_with_workers_and_a_report(tmp_path: Path) -> None:
    package = tmp_path / "program"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "train.py").write_text(WORKERS)
    finished = subprocess.run(
        [sys.executable, "-m", "lazytorch", "run", "--report", "-m", "program.train"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout == "[('lazytorch', 3.0), ('lazytorch', 6.0)]\n" * 2
    for word in ("kernels", "plans", "compile", "memory"):
        assert f"  {word}" in finished.stderr


FAILS = ("raise ValueError('no more')", 1, "ValueError: no more")
EXITS = [("sys.exit(3)", 3, ""), ("sys.exit('no more')", 1, "no more")]


@pytest.mark.parametrize(
    ("command", "ending", "status", "said"),
    [
        *[(command, *FAILS) for command in ("kernels", "profile", "run", "view")],
        *[("profile", *EXITS[0]), ("run", *EXITS[0]), ("run", *EXITS[1]), ("view", *EXITS[1])],
    ],
)
def test_the_status_is_the_scripts(
    command: str, ending: str, status: int, said: str, tmp_path: Path
) -> None:
    script = tmp_path / "script.py"
    script.write_text(f"import sys\nimport lazytorch\n{ending}\n")
    options = {"kernels": ["-o", str(tmp_path / "kernels")], "view": ["--no-serve"]}
    finished = subprocess.run(
        [sys.executable, "-m", "lazytorch", command, *options.get(command, []), str(script)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert finished.returncode == status, finished.stderr
    assert said in finished.stderr
    assert (f'{script}", line 3' in finished.stderr) == ending.startswith("raise")

"""The command line: settings, devices, cache, a script's kernels, unchanged PyTorch scripts."""

from __future__ import annotations

import argparse
import importlib
import runpy
import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import lazytorch
from codegen import settings
from codegen.runtime import cache
from codegen.runtime.compiler import find_compiler
from codegen.runtime.opencl.report import device_lines
from lazytorch.inspect import Recorder, record_lines, viewer
from lazytorch.inspect.savings import RunReport
from lazytorch.profiler.events import memory_text


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit status."""
    parser = argparse.ArgumentParser(prog="lazytorch", description=lazytorch.__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")

    def command(name: str, run: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=run.__doc__, description=run.__doc__)
        made.set_defaults(run=run)
        return made

    command("settings", show_settings)
    command("devices", show_devices)
    command("cache", show_cache).add_argument(
        "--clear", action="store_true", help="delete every cached file"
    )
    scripts = {
        "kernels": dump_script, "profile": profile_script, "run": run_unchanged,
        "view": view_script,
    }  # fmt: skip
    for name, run in scripts.items():
        with_script = command(name, run)
        if name == "view":
            viewer.add_arguments(with_script)
        if name == "profile":
            with_script.add_argument("--trace", metavar="FILE", help="write a trace for Perfetto")
            with_script.add_argument(
                "--sort", default="self_cpu_time_total", help="field to sort by"
            )
            with_script.add_argument("--rows", type=int, default=20, help="rows of the table")
        if name == "kernels":
            with_script.add_argument("-o", "--output", default="kernels", help="folder to write")
        if name == "run":
            with_script.add_argument(
                "--report", action="store_true", help="say at the end what was run and saved"
            )
            with_script.add_argument(
                "-m", dest="module", action="store_true", help="the script is a module's name"
            )
        with_script.add_argument("script")
        with_script.add_argument("arguments", nargs=argparse.REMAINDER)
    chosen = parser.parse_args(_options_first(sys.argv[1:] if arguments is None else arguments))
    result: int = chosen.run(chosen)
    return result


# The options of commands that run a script, and how many words each has with its value.
_OPTIONS = {
    "kernels": {"-o": 2, "--output": 2},
    "profile": {"--trace": 2, "--sort": 2, "--rows": 2},
    "view": {"--save": 2, "--port": 2, "--no-serve": 1},
}


def _options_first(arguments: Sequence[str]) -> list[str]:
    """``kernels script.py -o folder …`` as ``kernels -o folder script.py …``: what follows a
    script is the script's, except this command's own options directly behind it."""
    found = list(arguments)
    words = _OPTIONS.get(found[0], {}) if found else {}
    end = 2
    while len(found) > end and found[end] in words:
        end += words[found[end]]
    if end > 2 and not found[1].startswith("-"):
        found[1:end] = [*found[2:end], found[1]]
    return found


def show_settings(_: argparse.Namespace) -> int:
    """Every setting, its value and its meaning."""
    for setting in settings.SETTINGS:
        value = settings.get(setting.name) or "-"
        print(f"{setting.name:<24} {value:<16} {setting.meaning}")
    return 0


def show_devices(_: argparse.Namespace) -> int:
    """What was found to run on, what is missing, and how to get it."""
    compiler = find_compiler()
    if compiler is None:
        print("cpu           no C compiler: install gcc or clang, or `pip install ziglang`,")
        print("              or name one in LAZYTORCH_CC; else OpenCL or the interpreter stand in")
    else:
        print(f"cpu           {lazytorch.get_num_threads()} threads")
        print(f"  compiler    {' '.join(compiler.command)}: {compiler.version}")
        print(f"  flags       {' '.join(compiler.flags)}")
    for line in device_lines():
        print(line)
    print("interpreter   NumPy, needs nothing")
    return 0


def show_cache(chosen: argparse.Namespace) -> int:
    """Where compiled kernels and plans are kept, and how much that is."""
    size, count = cache.size_and_count()
    print(f"{cache.cache_folder()}: {count} files, {size / (1 << 20):.1f} MiB")
    if chosen.clear:
        cache.clear()
        print("cleared")
    return 0


def dump_script(chosen: argparse.Namespace) -> int:
    """Run a script and write every plan that it runs, kernels and all, into a folder."""
    record_lines(True)
    with Recorder(chosen.output) as recorder:
        try:
            run_script(chosen.script, chosen.arguments)
        finally:
            plans, kernels = recorder.plan_count, len(recorder.kernels)
            print(f"{plans} plans of {kernels} kernels in {chosen.output}", file=sys.stderr)
    return 0


def profile_script(chosen: argparse.Namespace) -> int:
    """Run a script (also a PyTorch script as it stands) and show where its time went."""
    stand_in_for_torch()
    made = lazytorch.profile(record_shapes=False)
    try:
        with made:
            run_script(chosen.script, chosen.arguments)
    finally:  # also of a script that fails, whose status and traceback are this command's
        print(made.key_averages().table(sort_by=chosen.sort, row_limit=chosen.rows))
        print(f"Most memory in use: {memory_text(made.max_memory)}")
        if chosen.trace:
            made.export_chrome_trace(chosen.trace)
            print(f"{chosen.trace}: open it in https://ui.perfetto.dev", flush=True)
    return 0


def view_script(chosen: argparse.Namespace) -> int:
    """Run a script (also a PyTorch script as it stands) and show all that it did on a page."""
    stand_in_for_torch()
    return viewer.view(chosen.script, lambda: run_script(chosen.script, chosen.arguments), chosen)


def run_unchanged(chosen: argparse.Namespace) -> int:
    """Run a PyTorch script as it stands: its `import torch` finds lazytorch."""
    stand_in_for_torch()
    report = RunReport() if chosen.report else None
    if report is not None:
        report.start()
    try:
        run_script(chosen.script, chosen.arguments, chosen.module)
    finally:
        if report is not None:
            report.stop()
            print(report, file=sys.stderr)
    return 0


def run_script(script: str, arguments: Sequence[str], is_module: bool = False) -> None:
    """As ``python script arguments…`` would, in this process; of a module, as ``python -m``."""
    before = sys.argv, list(sys.path)
    sys.argv = [script, *arguments]
    # Processes that the script starts anew find the engine where they import torch.
    places = ["" if is_module else str(Path(script).resolve().parent)]
    if isinstance(sys.modules.get("torch"), ModuleType) and sys.modules["torch"] is lazytorch:
        places.append(str(Path(lazytorch.__file__).parent / "stand_in"))
    sys.path[0:1] = places
    try:
        if is_module:
            runpy.run_module(script, run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(script, run_name="__main__")
    finally:
        sys.argv, sys.path[:] = before


def stand_in_for_torch() -> None:
    """Make ``import torch`` and its submodules give lazytorch's, in this process."""
    if any(isinstance(finder, TorchFinder) for finder in sys.meta_path):
        return
    loaded = sys.modules.get("torch")
    if loaded is not None and loaded is not lazytorch:
        raise RuntimeError("torch itself is imported already: lazytorch cannot stand in for it")
    sys.meta_path.insert(0, TorchFinder())
    sys.modules["torch"] = lazytorch
    for name in ("accelerator", "cuda", "nn", "optim", "utils"):
        try:
            importlib.import_module(f"lazytorch.{name}")
        except ImportError as error:
            print(f"lazytorch: torch.{name} is missing: {error}", file=sys.stderr)


# What stands in for which package, and for the modules in it.
_STAND_INS = {"torch": "lazytorch", "torchvision": "lazytorch.vision"}


class TorchFinder(MetaPathFinder, Loader):
    """Finds ``torch.x`` as the module ``lazytorch.x``, one module under two names, and
    ``torchvision`` as ``lazytorch.vision``."""

    def __init__(self) -> None:
        self._own_specs: dict[int, ModuleSpec | None] = {}

    def find_spec(
        self, fullname: str, path: object = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        root = fullname.partition(".")[0]
        return ModuleSpec(fullname, self) if root in _STAND_INS else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        root, dot, rest = spec.name.partition(".")
        name = _STAND_INS[root] + dot + rest
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name != name:
                raise
            raise ModuleNotFoundError(
                f"No module named {spec.name!r} in lazytorch", name=spec.name
            ) from None
        self._own_specs[id(module)] = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """It has run already, under its own name, whose spec the import system overwrote."""
        module.__spec__ = self._own_specs.pop(id(module))


if __name__ == "__main__":
    sys.exit(main())

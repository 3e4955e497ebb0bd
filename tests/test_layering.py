"""Who may import whom, and what no file may do."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted([*(ROOT / "codegen").rglob("*.py"), *(ROOT / "lazytorch").rglob("*.py")])
# The folders of codegen, each of which imports from those before it only.
ORDER = ("ir", "ops", "index", "graph", "loops", "render", "runtime")
# At codegen's top: what every folder may use, and the pipeline, which no folder knows.
COMMON = {"dtype", "errors", "lazy_import", "settings", "spans", "statistics"}
# The doors from lazytorch to the compiler: running what was recorded, and looking inside.
DOORS = {"realize.py", "importer.py", "inspect"}
# Names with an underscore that other modules import: PyTorch's own, kept as they are there.
PYTORCHS_PRIVATE = {
    "_BatchNorm", "_C", "_EXTRA_STATE_KEY_SUFFIX", "_IncompatibleKeys", "_InverseTransform",
    "_NormBase", "_WeightedLoss", "_batch_lowrank_logdet", "_batch_mahalanobis", "_batch_mv",
    "_broadcast_to_and_flatten", "_disabled_torch_function_impl", "_precision_to_scale_tril",
    "_sample_dirichlet", "_standard_gamma", "_standard_normal", "_sum_rightmost",
}  # fmt: skip


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imported(path: Path) -> Iterator[str]:
    """The modules that a file imports when it runs."""
    tree = ast.parse(path.read_text())
    for node in _running(tree.body):
        if isinstance(node, ast.Import):
            yield from [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)} imports by a relative path"
            module = node.module or ""
            for alias in node.names:
                # `from codegen import settings` imports a module of the package.
                is_package = (ROOT / module.replace(".", "/")).is_dir()
                yield f"{module}.{alias.name}" if is_package else module


def _running(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for node in body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        yield node


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_layers(path: Path) -> None:
    package, *inner = path.relative_to(ROOT).parts
    for module in imported(path):
        target = module.split(".")
        if package == "codegen":
            assert target[0] != "lazytorch", f"the compiler imports {module}"
            if target[0] == "codegen" and len(target) > 1 and len(inner) > 1:
                folder = target[1]
                if folder not in COMMON:
                    assert ORDER.index(folder) <= ORDER.index(inner[0]), f"imports {module}"
        elif target[:2] == ["codegen", "pipeline"]:
            assert inner[0] in DOORS, "only the doors to the compiler know the pipeline"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_private_names_stay_in_their_module(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.ImportFrom) or node.module is None:
            continue
        package = ROOT / node.module.replace(".", "/")
        for alias in node.names:
            is_module = (package / alias.name).is_dir() or (package / f"{alias.name}.py").is_file()
            is_ours = node.module.partition(".")[0] in ("lazytorch", "codegen")
            if is_ours and alias.name.startswith("_") and not is_module:
                assert alias.name in PYTORCHS_PRIVATE, f"imports {alias.name} of {node.module}"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_habits(path: Path) -> None:
    text = path.read_text()
    tree = ast.parse(text)
    assert text.count("\n") <= 800, "longer than 800 lines"
    assert not text or ast.get_docstring(tree), "does not say what it is"
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            for inner in ast.walk(node):
                assert not isinstance(inner, (ast.Import, ast.ImportFrom)), (
                    f"line {inner.lineno}: an import inside a function"
                )
        if (
            isinstance(node, ast.Attribute)
            and node.attr in ("environ", "getenv", "environb")
            and name_of(path) != "codegen/settings.py"
        ):
            raise AssertionError(f"line {node.lineno}: settings.py alone reads the environment")

"""Which of the project's modules a stage imports, directly or not, read from the source alone.

`python tests/imports.py` prints each stage's code deps as dvc.yaml must list them.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("pipeline", "stages")


def code_deps(stage: str) -> list[str]:
    """The .py files that `python -m stages STAGE` runs, relative to the repository, sorted."""
    found: set[str] = set()
    waiting = ["stages.__main__", f"stages.{stage}"]
    while waiting:
        module = waiting.pop()
        path = _file(module)
        if path is None or path in found:
            continue
        found.add(path)
        waiting += _imported(path)
        package = module.rpartition(".")[0]
        if package:
            waiting.append(package)
    return sorted(found)


def sections_read(stage: str) -> set[str]:
    """The sections of params.yaml that the stage's own module loads."""
    tree = ast.parse((ROOT / "stages" / f"{stage}.py").read_text())
    return {
        node.args[1].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", "") == "load_section"
        and isinstance(node.args[1], ast.Constant)
    }


@cache
def _file(module: str) -> str | None:
    base = ROOT / Path(*module.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return str(path.relative_to(ROOT))
    return None


@cache
def _imported(path: str) -> tuple[str, ...]:
    modules: list[str] = []
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise ValueError(f"{path}: imports are absolute in this project")
            modules.append(node.module or "")
            modules += [f"{node.module}.{alias.name}" for alias in node.names]
    return tuple(m for m in modules if m.split(".")[0] in PACKAGES)


if __name__ == "__main__":
    import sys

    for name in sys.argv[1:] or sorted(p.stem for p in (ROOT / "stages").glob("*.py")):
        print(name, *(f"      - {path}" for path in code_deps(name)), sep="\n")

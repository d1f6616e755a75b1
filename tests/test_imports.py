"""The house's few rules on who may import whom, and what the library may not know."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from apps.code_deps import ROOT, imported, module_file

LIBRARY = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "pipeline").rglob("*.py"))
DOORS = {"pipeline/profile.py"}  # a command's old name, which leads to apps/

# A room, and what it must not import, directly or not. Data flows from top to bottom.
FORBIDDEN = {
    "pipeline.sample": ("pipeline.data", "pipeline.download", "pipeline.models"),
    "pipeline.data": (
        "pipeline.download", "pipeline.models", "pipeline.codes", "pipeline.training",
    ),
    "pipeline.download": ("pipeline.models", "pipeline.training", "pipeline.evaluation"),
    "pipeline.models": (
        "pipeline.download", "pipeline.codes", "pipeline.training", "pipeline.sampling",
        "pipeline.priors", "pipeline.evaluation",
    ),
    "pipeline.codes": ("pipeline.training", "pipeline.priors", "pipeline.evaluation"),
    "pipeline.sampling": ("pipeline.training", "pipeline.codes", "pipeline.evaluation"),
    "pipeline.priors": ("pipeline.training", "pipeline.evaluation"),
    "pipeline.training": ("pipeline.sampling", "pipeline.priors", "pipeline.evaluation"),
    "pipeline.evaluation": ("pipeline.training", "pipeline.download"),
    "pipeline.painter": ("pipeline.training", "pipeline.evaluation", "pipeline.models.pixelsnail"),
}  # fmt: skip


def within(module: str, room: str) -> bool:
    return module == room or module.startswith(f"{room}.")


def imports_of(room: str) -> dict[str, tuple[str, ...]]:
    """What each file of a room names in its imports."""
    prefix = room.replace(".", "/")
    files = [file for file in LIBRARY if file == f"{prefix}.py" or file.startswith(f"{prefix}/")]
    assert files, room
    return {file: imported(file) for file in files}


@pytest.mark.parametrize("room", FORBIDDEN)
def test_nothing_points_sideways_or_up(room: str) -> None:
    wrong = [
        f"{file} imports {module}"
        for file, modules in imports_of(room).items()
        for module in modules
        if any(within(module, forbidden) for forbidden in FORBIDDEN[room])
    ]
    assert not wrong


def test_nothing_in_the_library_imports_stages_or_apps() -> None:
    wrong = [
        f"{file} imports {module}"
        for file in set(LIBRARY) - DOORS
        for node in ast.walk(ast.parse((ROOT / file).read_text()))
        for module in _modules(node)
        if module.split(".")[0] in ("stages", "apps", "benchmarks")
    ]
    assert not wrong


def _modules(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module or ""] if isinstance(node, ast.ImportFrom) else []


def test_nothing_in_the_library_knows_argv_dvc_or_a_file_layout() -> None:
    """No command line, no import of DVC, no path of this repository's data, models or metrics."""
    for file in set(LIBRARY) - DOORS:
        tree = ast.parse((ROOT / file).read_text())
        for node in ast.walk(tree):
            where = f"{file}:{getattr(node, 'lineno', 0)}"
            assert not (isinstance(node, ast.Attribute) and node.attr == "argv"), where
            assert not {"argparse", "dvc", "typer"} & {m.split(".")[0] for m in _modules(node)}, (
                where
            )
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "Path" and node.args:
                first = node.args[0]
                literal = isinstance(first, ast.Constant) and isinstance(first.value, str)
                assert not literal or Path(first.value).is_absolute(), where


FAMILIES = {"pixelsnail": "pixelsnail", "diffusion": "masked_diffusion"}  # and their models


def test_families_of_priors_are_named_in_one_place() -> None:
    """Painter, evaluation and stages know the seam alone; training has its family's own task."""
    named = {
        file
        for file in [*LIBRARY, *(str(p.relative_to(ROOT)) for p in (ROOT / "stages").glob("*.py"))]
        if any(
            within(m, f"pipeline.priors.{family}") for m in imported(file) for family in FAMILIES
        )
    }
    assert named == {"pipeline/priors/__init__.py"}
    for model in FAMILIES.values():
        knows_model = {
            file
            for file in LIBRARY
            if any(within(m, f"pipeline.models.{model}") for m in imported(file))
        }
        rooms = {Path(file).parts[1] for file in knows_model}
        assert rooms | {"models"} == {"models", "sampling", "priors", "training"}


def test_every_import_rule_speaks_of_rooms_that_are_there() -> None:
    for room, forbidden in FORBIDDEN.items():
        for module in (room, *forbidden):
            assert module_file(module), module

"""What Windows and macOS lack is not asked for: the project runs without it, to the same bytes.

Neither system was at hand; this is what can be tried elsewhere. `ci.yml` runs everything on both.
"""

from __future__ import annotations

import ast
import hashlib
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from tiny import ENVIRONMENT, ROOT, make_project, run

DISGUISE = Path(__file__).parent / "other_system"
MODULES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for room in ("pipeline", "stages", "apps")
    for path in sorted((ROOT / room).rglob("*.py"))
]
if find_spec("gradio") is None:  # an extra, in an environment of its own
    MODULES = [name for name in MODULES if name not in ("apps.demo.canvas", "apps.demo.page")]


def disguised(at: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Python whose project modules, in this process and those that it starts, are on Windows."""
    path = os.pathsep.join([str(DISGUISE), str(at), str(ROOT)])
    return subprocess.run(
        [sys.executable, *arguments], cwd=at, capture_output=True, text=True, timeout=280,
        env={**ENVIRONMENT, "PYTHONPATH": path},
    )  # fmt: skip


def test_every_module_is_imported_where_posix_is_not(tmp_path: Path) -> None:
    script = "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name)"
    done = disguised(tmp_path, "-c", script, *MODULES)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize(
    ("asks", "said"),
    [
        ("import fcntl", "no module fcntl"), ("from resource import getrusage", "module resource"),
        ("import os; os.sync()", "os has no sync"), ("from os import O_DIRECTORY", "O_DIRECTORY"),
        ("import os.path; os.sched_getaffinity(0)", "os has no sched_getaffinity"),
        ("import signal; signal.SIGKILL", "signal has no SIGKILL"),
    ],
)  # fmt: skip
def test_a_module_that_asks_for_posix_is_caught(tmp_path: Path, asks: str, said: str) -> None:
    for package in ("pipeline", "elsewhere"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
        (tmp_path / package / "probe.py").write_text(asks, encoding="utf-8")
    done = disguised(tmp_path, "-c", "import pipeline.probe")
    assert done.returncode == 1
    assert said in done.stderr
    assert disguised(tmp_path, "-c", "import elsewhere.probe").returncode == 0


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("elsewhere")
    make_project(folder)
    return folder


def made(project: Path) -> dict[str, str]:
    """The digest of every file below data/ and models/."""
    return {
        path.relative_to(project).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for room in ("data", "models", "metrics")
        for path in (project / room).rglob("*")
        if path.is_file()
    }


def test_stages_make_the_same_bytes_where_posix_is_not(project: Path) -> None:
    """Locks, folders of many files, checkpoints, and a child that is waited for."""
    stages = (
        ("download", "data"), ("resize_images", "data/pixels"), ("finetune_blip", "models"),
    )  # fmt: skip
    for stage, room in stages:
        run(project, sys.executable, "-m", "stages", stage)
        here = made(project)
        shutil.rmtree(project / room)
        done = disguised(project, "-m", "stages", stage)
        assert done.returncode == 0, done.stderr[-2000:]
        assert made(project) == here


def test_a_stage_that_fails_where_there_is_no_exec_fails_for_who_waits(project: Path) -> None:
    done = disguised(project, "-m", "stages", "generate")
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


def test_any_letter_is_printed_into_a_pipe_of_any_code_page() -> None:
    script = "from apps.printing import print_utf8; print_utf8(); print('✔ better')"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True,
        env={**ENVIRONMENT, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "cp1252"},
    )  # fmt: skip
    assert done.stdout.decode().split() == ["✔", "better"], done.stderr


def test_every_text_says_its_encoding_and_its_ends_of_lines() -> None:
    """Else Windows writes, and reads, other bytes."""
    wrong = []
    for name in MODULES:
        path = ROOT / Path(*name.split("."))
        file = (
            path.with_suffix(".py") if path.with_suffix(".py").is_file() else path / "__init__.py"
        )
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and (lacking := _lacking(node)):
                wrong.append(f"{file.relative_to(ROOT)}:{node.lineno}: {lacking}")
    assert not wrong


def _lacking(call: ast.Call) -> set[str]:
    """What a call that reads or writes text leaves to the system."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    given = {keyword.arg for keyword in call.keywords}
    if name == "to_csv":
        return {"lineterminator"} - given
    if name == "read_text":
        return {"encoding"} - given
    if name == "write_text" and isinstance(call.func, ast.Attribute):  # not pipeline.files'
        return {"encoding", "newline"} - given
    if name == "open":
        modes = [a.value for a in call.args if isinstance(a, ast.Constant)]
        mode = next((m for m in map(str, modes) if set(m) <= set("rwabx+t")), None)
        if mode is not None and "b" not in mode:
            return ({"encoding"} if "r" in mode else {"encoding", "newline"}) - given
    return set()

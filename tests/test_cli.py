"""`codebrush`: its commands, what their help costs, and the old names beside them."""

from __future__ import annotations

import shlex
import subprocess
import sys

import pytest
import typer
from tiny import ROOT
from typer.testing import CliRunner

from apps.cli import app

COMMANDS = [command.name or command.callback.__name__ for command in app.registered_commands]
OLD = ("compare", "gate", "profile", "spread")


def test_the_commands_are_those_that_are_documented_and_the_old_names():
    named = ["paint", "repaint", "report", "pictures", "export", "doctor", "demo", *OLD]
    assert sorted(COMMANDS) == sorted(named)
    text = (ROOT / "docs/command.md").read_text(encoding="utf-8")
    assert all(f"codebrush {name}" in text for name in COMMANDS)


@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "profile"])
def test_help_costs_no_import_of_what_computes(command):
    script = (
        "import sys\nfrom typer.testing import CliRunner\nfrom apps.cli import app\n"
        f"assert CliRunner().invoke(app, [{command!r}, '--help']).exit_code == 0\n"
        "assert not {'torch', 'transformers', 'matplotlib', 'gradio'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, timeout=60)


def test_an_old_command_takes_its_own_arguments(monkeypatch):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", ["codebrush"])
    done = CliRunner().invoke(app, ["profile", "gpu"])
    assert done.exit_code == 0
    assert done.stdout.startswith("-S ")
    assert CliRunner().invoke(app, ["profile", "nobodys"]).exit_code == 1
    assert CliRunner().invoke(app, ["compare", "--nonsense"]).exit_code == 2


def test_a_mistake_is_one_line_and_status_1(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "apps.cli", "report"], cwd=tmp_path, capture_output=True, text=True,
        env={"PYTHONPATH": str(ROOT)}, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("error: metrics/report.md: no such file")
    assert done.stderr.count("\n") == 1


def examples() -> list[str]:
    """Every line of the README and of docs/command.md that starts with the command."""
    pages = [(ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "docs/command.md")]
    lines = [line.partition(" #")[0].strip() for page in pages for line in page.splitlines()]
    return [line for line in lines if line.startswith("codebrush ")]


@pytest.mark.parametrize("line", examples())
def test_every_example_is_a_command_with_arguments_that_it_takes(line):
    _, name, *arguments = shlex.split(line)
    command = typer.main.get_command(app).commands[name]
    command.make_context(name, arguments)

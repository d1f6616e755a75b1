"""The scratch folder: an interrupted run is found again only by the very same run."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pipeline.sealing import seal_folder
from stages.layout import AHEAD
from stages.resuming import kept_run
from stages.runs import fingerprint, watched
from stages.scratch import scratch_root

ROOT = Path(__file__).resolve().parents[1]

DVC_YAML = """
stages:
  paint:
    cmd: python -m stages paint
    params: [seed, vqvae.lr]
    deps: [code.py, pictures]
"""


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    (tmp_path / "dvc.yaml").write_text(DVC_YAML)
    (tmp_path / "params.yaml").write_text("seed: 0\nvqvae: {lr: 0.1, n_embed: 8}\n")
    (tmp_path / "code.py").write_text("one")
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.png").write_text("a")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CODEBRUSH_SCRATCH", raising=False)
    return tmp_path


def test_an_interrupted_run_finds_its_folder_again(project):
    with pytest.raises(KeyboardInterrupt), kept_run("paint") as saved:
        (saved / "state").touch()
        raise KeyboardInterrupt
    with kept_run("paint") as saved:
        assert (saved / "state").exists()


@pytest.mark.parametrize("watch", ["tables", "tables/mine.json"])
def test_a_table_of_the_users_is_seen_to_change(project, watch):
    (project / "dvc.yaml").write_text(DVC_YAML.replace("code.py,", "code.py, '${data.watch}',"))
    (project / "params.yaml").write_text(f"data: {{watch: {watch}}}\n")
    (project / "tables").mkdir()
    seen = set()
    for text in ("[]", "[1]", "[1, 2]"):
        (project / "tables/mine.json").write_text(text)
        seen.add(watched("paint"))
    assert len(seen) == 3


def test_a_finished_run_leaves_only_its_name(project, monkeypatch):
    with kept_run("paint") as saved:
        (saved / "state").touch()
    (left,) = (project / ".scratch" / "paint").iterdir()
    assert left.read_text() == saved.name
    monkeypatch.setenv(AHEAD, "1")
    with pytest.raises(SystemExit), kept_run("paint"):
        raise AssertionError("trained ahead what was made already")


def test_what_is_trained_ahead_is_left_to_its_stage(project, monkeypatch):
    monkeypatch.setenv(AHEAD, "1")
    with pytest.raises(SystemExit), kept_run("paint") as saved:
        (saved / "state").touch()
        raise SystemExit
    monkeypatch.delenv(AHEAD)
    with kept_run("paint") as saved:
        assert (saved / "state").exists()


def test_a_stage_waits_for_the_process_that_trains_it_ahead(project):
    script = (
        "import time; from stages.resuming import kept_run\n"
        "with kept_run('paint') as saved:\n"
        "    print('in', flush=True); time.sleep(60)"
    )
    environment = {"PYTHONPATH": str(ROOT), "PATH": "", AHEAD: "1"}
    command = [sys.executable, "-c", script]
    first = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
    assert first.stdout is not None
    first.stdout.readline()
    threading.Timer(2, first.kill).start()
    with kept_run("paint"):
        assert first.wait(timeout=10) != 0


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("params.yaml", "seed: 0\nvqvae: {lr: 0.2, n_embed: 8}\n"),
        ("code.py", "two"),
        ("pictures/a.png", "b"),
        ("pictures/b.png", "a"),
        ("dvc.yaml", DVC_YAML.replace("-m stages", "-X dev -m stages")),
    ],
)
def test_another_param_code_input_or_command_is_another_run(project, file, content):
    before = fingerprint("paint")
    (project / file).write_text(content)
    assert fingerprint("paint") != before


def test_a_dep_may_name_a_param(project):
    (project / "dvc.yaml").write_text(DVC_YAML.replace("code.py", "'${vqvae.n_embed}.py'"))
    (project / "8.py").write_text("one")
    before = fingerprint("paint")
    (project / "8.py").write_text("two")
    assert fingerprint("paint") != before


def test_a_param_of_another_stage_changes_nothing(project):
    before = fingerprint("paint")
    (project / "params.yaml").write_text("seed: 0\nvqvae: {lr: 0.1, n_embed: 9}\n")
    assert fingerprint("paint") == before


def test_another_number_of_processes_is_another_training(project, monkeypatch):
    with pytest.raises(KeyboardInterrupt), kept_run("paint") as before:
        raise KeyboardInterrupt
    monkeypatch.setenv("WORLD_SIZE", "2")
    with kept_run("paint") as after:
        assert after != before


def test_of_a_sealed_folder_the_seal_is_enough(project):
    def seal(text: str) -> str:
        (project / "pictures" / "a.png").write_text(text)
        seal_folder(project / "pictures")
        return fingerprint("paint")

    first, second = seal("a"), seal("b")
    assert first != second
    (project / "pictures" / "a.png").write_text("c")  # damage, which whoever reads it names
    assert fingerprint("paint") == second


def test_only_the_last_unfinished_runs_are_kept(project):
    for lr in range(4):
        (project / "params.yaml").write_text(f"seed: 0\nvqvae: {{lr: {lr}}}\n")
        with pytest.raises(KeyboardInterrupt), kept_run("paint") as saved:
            (saved / "state").touch()
            raise KeyboardInterrupt
    folders = [p for p in (project / ".scratch" / "paint").iterdir() if p.is_dir()]
    assert len(folders) == 2
    assert saved in folders


def test_the_checkpoints_of_runs_still_going_are_kept(project):
    def others(count: int) -> None:
        if not count:
            assert len([p for p in (project / ".scratch/paint").iterdir() if p.is_dir()]) == 4
            return
        (project / "params.yaml").write_text(f"seed: 0\nvqvae: {{lr: {count}}}\n")
        with kept_run("paint"):
            others(count - 1)

    others(4)  # as DVC's experiments do: side by side, in one scratch folder


def test_experiments_in_copies_share_the_project_s_scratch(project, monkeypatch):
    copy = project / ".dvc" / "tmp" / "exps" / "standalone" / "tmpabcd"
    copy.mkdir(parents=True)
    monkeypatch.chdir(copy)
    assert scratch_root() == project / ".scratch"


def test_the_same_run_twice_at_once_is_refused_and_a_killed_one_is_no_hindrance(project):
    script = (
        "import time; from stages.resuming import kept_run\n"
        "with kept_run('paint') as saved:\n"
        "    print('in', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", script]
    environment = {"PYTHONPATH": str(ROOT), "PATH": ""}
    first = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
    assert first.stdout is not None
    first.stdout.readline()
    second = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=30)
    assert "another process is already at exactly this run" in second.stderr
    first.kill()
    first.wait()
    started = time.monotonic()
    with kept_run("paint"):
        assert time.monotonic() - started < 5

"""`codebrush doctor`: what would fail is said before a run, with what mends it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from reviewed import make
from tiny import ROOT, change, make_project

from apps.doctor import disks, repository, timing
from apps.doctor.finding import Finding
from apps.doctor.findings import findings
from apps.doctor.repository import staleness
from apps.doctor.timing import measured, timings
from pipeline.errors import UserError


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("fresh")
    make_project(folder)
    return folder


@pytest.fixture
def project(fresh: Path, tmp_path: Path) -> Path:
    return shutil.copytree(fresh, tmp_path, dirs_exist_ok=True)


def said(project: Path) -> dict[str, list[Finding]]:
    found: dict[str, list[Finding]] = {}
    for finding in findings(project):
        found.setdefault(finding.about, []).append(finding)
    return found


def failures(project: Path) -> list[str]:
    return [finding.says for each in said(project).values() for finding in each if finding.fails]


def test_nothing_fails_in_a_fresh_clone(project):
    found = said(project)
    assert failures(project) == []
    assert {"Python", "settings", "processor", "memory", "GPU", "disk", "data", "DVC"} <= set(found)


def test_a_setting_that_cannot_be_is_named(project):
    change(project, {"generate": {"top_p": 2.0}})
    assert "generate.top_p = 2.0" in failures(project)[0]


def test_a_batch_that_the_processes_here_cannot_share_is_named(project, monkeypatch):
    monkeypatch.setenv("CODEBRUSH_PROCESSES", "5")
    assert "5 processes share it" in failures(project)[0]


def test_annotations_and_resources_that_are_not_there_are_named(project):
    change(
        project,
        {
            "data": {"source": "json", "json": {"train": "no.json", "test": "https://x.org/t"}},
            "pretrained": {"wordnet": "nowhere"},
        },
    )
    assert failures(project) == [
        "data.json.train = 'no.json': no such file or folder",
        "wordnet = 'nowhere': no such folder",
    ]
    assert any("will be fetched" in finding.says for finding in said(project)["data"])


def test_more_threads_than_cores_are_no_failure_but_told(project):
    change(project, {"threads": 4096})
    (finding,) = said(project)["processor"]
    assert finding.warns
    assert not finding.fails


def test_the_lock_of_a_killed_run_is_told_from_one_at_work(project):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    lock = project / ".dvc/tmp/rwlock"
    lock.parent.mkdir(exist_ok=True)
    held = {"data/images": {"write": {"pid": ended.pid, "cmd": "dvc repro"}}}
    lock.write_text(json.dumps(held))
    assert "was left by a killed run" in failures(project)[0]
    lock.write_text(json.dumps({"a": {"read": [{"pid": os.getpid(), "cmd": "dvc repro"}]}}))
    assert failures(project) == []
    assert any(f"process {os.getpid()} is at work" in f.says for f in said(project)["DVC"])
    lock.write_text("{")
    assert "cannot be read: delete it" in failures(project)[0]


def cache(project: Path) -> str:
    (says,) = [finding.says for finding in said(project)["DVC"] if "its cache" in finding.says]
    return says


def test_the_cache_is_the_one_that_dvc_is_told_to_use(project, tmp_path_factory):
    own, other = project / ".dvc/cache", tmp_path_factory.mktemp("other")
    for place, size in ((own, 20_000_000), (other, 40_000_000)):
        (place / "files").mkdir(parents=True)
        (place / "files/a").write_bytes(bytes(size))
    assert cache(project) == f"its cache, {own}, holds 0.02 GB"
    for told in (other, os.path.relpath(other, project / ".dvc")):
        (project / ".dvc/config.local").write_text(f"[cache]\n    dir = {told}\n")
        assert cache(project) == f"its cache, {other}, holds 0.04 GB"
    (other / "file").touch()
    (project / ".dvc/config.local").write_text(f"[cache]\n    dir = {other / 'file' / 'cache'}\n")
    assert "cannot be written to" in failures(project)[0]
    (project / ".dvc/config.local").write_text("[cache\n")
    (line,) = failures(project)
    assert line.startswith("DVC says: ")


def test_what_dvc_cannot_make_is_one_line(project):
    shutil.rmtree(project / ".dvc/tmp", ignore_errors=True)
    (project / ".dvc/tmp").touch()
    with pytest.raises(UserError, match=r"^DVC says: .*\.dvc/tmp"):
        repository.cache_folder(project)


def test_a_cache_that_changes_as_it_is_measured_is_no_failure(project, monkeypatch):
    def changing(folder: Path) -> int:
        raise FileNotFoundError(2, "No such file or directory", str(folder / "files/a"))

    monkeypatch.setattr(repository, "size_of", changing)
    assert "cannot be measured now: No such file" in cache(project)
    assert failures(project) == []


def test_each_disk_that_a_run_writes_to_is_told_once(monkeypatch):
    devices = {"project": 1, "cache": 2, "checkpoints": 1}
    free = {1: 5e9, 2: 0.05e9}

    class Place:
        def __init__(self, path: Path) -> None:
            self.st_dev = devices[path.name]

        def stat(self) -> Place:
            return self

    monkeypatch.setattr(disks, "nearest", Place)
    monkeypatch.setattr(
        disks.shutil, "disk_usage", lambda place: SimpleNamespace(free=free[place.st_dev])
    )
    own, other = disks.disks({f"the {name}": Path(name) for name in devices})
    assert own.says == "5.0 GB free for the project, the checkpoints"
    assert not own.warns
    assert other.says == "0.1 GB free for the cache"
    assert other.fails


def test_a_place_that_is_not_there_yet_lies_where_it_will_be_made(tmp_path):
    assert disks.nearest(tmp_path / "no" / "such") == tmp_path
    assert disks.nearest(tmp_path) == tmp_path


def test_a_folder_that_may_not_be_entered_lies_on_its_disk_and_checkpoints_in_it_fail(
    project, tmp_path_factory, monkeypatch
):
    closed = tmp_path_factory.mktemp("closed")
    stat = os.stat

    def refused(path: Any, *args: Any, **options: Any) -> os.stat_result:
        if not isinstance(path, int) and closed in Path(os.fsdecode(path)).parents:
            raise PermissionError(13, "Permission denied", str(path))
        return stat(path, *args, **options)

    monkeypatch.setattr(os, "stat", refused)  # root may enter every folder
    monkeypatch.setenv("CODEBRUSH_SCRATCH", str(closed / "scratch"))
    assert disks.nearest(closed / "scratch") == closed
    found = list(repository.repository(project))
    assert any("checkpoints" in finding.says for finding in found if finding.about == "disk")
    fails = [finding.says for finding in found if finding.fails]
    assert fails == [f"{closed / 'scratch'} cannot be read: Permission denied"]


def test_a_drive_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setattr(disks.os.path, "exists", lambda path: False)
    place = Path("Z:/checkpoints")
    (finding,) = disks.disks({"checkpoints": place})
    assert finding.says == f"{place}, for checkpoints, cannot be reached"
    assert finding.fails
    assert repository._cache(place).says == f"its cache, {place}, cannot be reached"


def test_what_is_no_repository_is_named(tmp_path):
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    assert "is no DVC repository" in failures(tmp_path)[0]


def test_checkpoints_of_an_interrupted_run_are_told(project, monkeypatch):
    monkeypatch.delenv("CODEBRUSH_SCRATCH", raising=False)
    place = project / ".scratch/train_vqvae/0123/0001.safetensors"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"")
    assert "kept of train_vqvae" in said(project)["checkpoints"][0].says


def times(project: Path) -> list[str]:
    return [finding.says for finding in timings(project / "params.yaml")]


def test_every_training_is_timed_by_steps_of_the_stages_own_loop(project):
    # Two precisions: accelerate keeps to one in a process.
    change(project, {"blip": {"precision": "bf16"}})
    computing, blip, vqvae, decoder, prior, total = times(project)
    assert "computing on" in computing
    for says, name in ((blip, "BLIP"), (vqvae, "VQ-VAE"), (decoder, "decoder"), (prior, "Pixel")):
        assert says.startswith(name), says
        assert " seconds" in says or " minutes" in says
    assert "of training on this machine" in total


def test_the_other_prior_is_timed_as_well_and_too_large_a_model_named_with_torchs_own_line(project):
    change(project, {"decoder": {"channels": [8 * 10**13, 16]}})  # more than can be addressed
    trainings = measured(["train_diffusion", "train_decoder"], project / "params.yaml")
    first = next(trainings)
    assert first.stage == "train_diffusion"
    assert first.seconds > 0
    with pytest.raises(UserError, match="^train_decoder ends in its first steps: .*memory"):
        next(trainings)


def stand_in(folder: Path, monkeypatch: pytest.MonkeyPatch, second: str) -> None:
    """What is started instead of the measurement: its first stage goes well, then `second`."""
    package = folder / "apps/doctor"
    package.mkdir(parents=True)
    for place in (package.parent, package):
        (place / "__init__.py").touch()
    (package / "speed.py").write_text(
        "import json, os, signal, sys\n"
        "print('measuring: 8/8 in 1.2 s', file=sys.stderr, flush=True)\n"
        "print(json.dumps({'seconds': 6.0, 'torch': 'none', 'on_cpu': True}), flush=True)\n"
        f"{second}\n"
    )
    monkeypatch.setattr(timing, "CODE", folder)


def test_a_training_that_the_system_kills_fails_and_a_blip_of_others_is_not_guessed(
    project, tmp_path_factory, monkeypatch
):
    kill = "os.kill(os.getpid(), signal.SIGKILL)"
    stand_in(tmp_path_factory.mktemp("code"), monkeypatch, kill)
    change(project, {"pretrained": {"blip": "fetch"}})
    unknown, _, vqvae, fails = timings(project / "params.yaml")
    assert "its sizes are not known" in unknown.says
    assert unknown.warns
    assert vqvae.says == "VQ-VAE trains for about 6 seconds"
    assert fails.says == "train_decoder: killed by signal 9; no memory for it, perhaps"
    assert fails.fails


@pytest.mark.parametrize(
    ("second", "why"), [("sys.exit('out of it')", "out of it"), ("sys.exit(3)", "no memory")]
)
def test_the_progress_of_a_training_is_not_why_the_next_one_ended(
    project, tmp_path_factory, monkeypatch, second, why
):
    stand_in(tmp_path_factory.mktemp("code"), monkeypatch, second)
    with pytest.raises(UserError, match=f"^train_decoder ends in its first steps: {why}"):
        list(measured(["train_vqvae", "train_decoder"], project / "params.yaml"))


def test_a_stale_lock_is_told_with_the_stages_that_run_again_and_why(tmp_path, monkeypatch):
    project = make(tmp_path / "project")
    monkeypatch.chdir(project)
    (fresh,) = staleness(Path())
    assert not fresh.warns
    change(project, {"generate": {"temperature": 0.7}})
    first, *stages = staleness(Path())
    assert "dvc.lock is stale" in first.says
    assert [stage.says.partition(":")[0] for stage in stages] == ["generate", "evaluate"]
    assert "params.yaml: generate modified" in stages[0].says
    assert all(finding.warns and not finding.fails for finding in (first, *stages))


def test_without_a_lock_every_stage_runs_and_what_dvc_cannot_read_fails(project):
    assert any("`dvc repro` runs every stage" in finding.says for finding in said(project)["DVC"])
    (project / "dvc.lock").write_text("")
    (project / "dvc.yaml").write_text("stages: 3\n")
    assert any("DVC says" in says for says in failures(project))

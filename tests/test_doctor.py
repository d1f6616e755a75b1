"""`codebrush doctor`: what would fail is said before a run, with what mends it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from reviewed import make
from tiny import ROOT, change, make_project

from apps.doctor.findings import Finding, findings, staleness
from apps.doctor.speed import training_seconds


@pytest.fixture
def project(tmp_path: Path) -> Path:
    make_project(tmp_path)
    return tmp_path


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


def test_what_is_no_repository_is_named(tmp_path):
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    assert "is no DVC repository" in failures(tmp_path)[0]


def test_checkpoints_of_an_interrupted_run_are_told(project, monkeypatch):
    monkeypatch.delenv("CODEBRUSH_SCRATCH", raising=False)
    place = project / ".scratch/train_vqvae/0123/0001.safetensors"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"")
    assert "kept of train_vqvae" in said(project)["checkpoints"][0].says


@pytest.mark.parametrize(
    ("prior", "name"), [("pixelsnail", "PixelSNAIL"), ("diffusion", "diffusion")]
)
def test_every_training_is_timed_by_steps_of_its_own_sizes(project, prior, name):
    change(project, {"prior": prior})
    times = dict(training_seconds(project / "params.yaml"))
    assert list(times) == ["BLIP", "VQ-VAE", "decoder", name]
    assert all(seconds > 0 for seconds in times.values())


def test_a_blip_of_others_is_not_guessed(project):
    change(project, {"pretrained": {"blip": "fetch"}})
    assert dict(training_seconds(project / "params.yaml"))["BLIP"] is None


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

"""The gate agrees with DVC on which stages are stale, and says more where DVC lets one pass."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from dvc.repo import Repo
from reviewed import clone, make
from tiny import run

from apps.review.freshness import stale_stages
from pipeline.errors import UserError


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make(tmp_path_factory.mktemp("freshness") / "project")
    return folder.parent / "origin.git"


@pytest.fixture
def project(origin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh checkout, without DVC's cache."""
    folder = clone(origin, tmp_path / "clone")
    monkeypatch.chdir(folder)
    return folder


def dvc_would_run(project: Path) -> set[str]:
    """What decides in `dvc repro --allow-missing` whether a stage runs, asked of each stage."""
    with Repo(str(project)) as repo, repo.lock:
        stages = repo.index.stages
        return {
            stage.addressing
            for stage in stages
            if stage.changed(allow_missing=True, upstream=stages)
        }


def edit(name: str, old: str, new: str) -> Callable[[Path], None]:
    def change(project: Path) -> None:
        text = (project / name).read_text()
        assert old in text
        (project / name).write_text(text.replace(old, new, 1))

    return change


def remove(name: str) -> Callable[[Path], None]:
    def change(project: Path) -> None:
        if (project / name).is_dir():
            shutil.rmtree(project / name)
        else:
            (project / name).unlink()

    return change


def put(name: str, text: str) -> Callable[[Path], None]:
    def change(project: Path) -> None:
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(text)

    return change


def other_hash(project: Path, *, of: str) -> None:
    """Another hash for the first `of` in dvc.lock: who makes it stands before who reads it."""
    lines = (project / "dvc.lock").read_text().splitlines()
    place = next(n for n, line in enumerate(lines) if line.strip() == f"- path: {of}")
    lines[place + 2] = lines[place + 2].partition(":")[0] + ": 0123456789abcdef0123456789abcdef"
    (project / "dvc.lock").write_text("\n".join(lines) + "\n")


NONE: set[str] = set()
# What is done to a fresh checkout, and which stages only the gate calls stale.
CASES: dict[str, tuple[Callable[[Path], object], set[str]]] = {
    "nothing": (lambda project: None, NONE),
    "a comment in params.yaml": (edit("params.yaml", "train:", "# said\ntrain:"), NONE),
    "the same number, written otherwise": (edit("params.yaml", "0.9", "9.0e-1"), NONE),
    "a number as a word": (edit("params.yaml", "0.9", "'0.9'"), NONE),
    "another number": (edit("params.yaml", "0.9", "0.8"), NONE),
    "another type": (edit("params.yaml", "lr: 0.1", "lr: true"), NONE),
    "a key more": (edit("params.yaml", "  temperature", "  top_k: 3\n  temperature"), NONE),
    "a section that nobody reads": (edit("params.yaml", "train:", "other: 1\ntrain:"), NONE),
    "a section is gone": (edit("params.yaml", "generate:\n  temperature: 0.9\n", ""), NONE),
    "no params.yaml": (remove("params.yaml"), {"train", "generate", "evaluate"}),
    "code": (edit("work.py", "heat / 2", "heat / 3"), NONE),
    "code is gone": (remove("work.py"), {"train"}),
    "a command": (edit("dvc.yaml", "work.py generate", "work.py  generate"), NONE),
    "a further dep": (edit("dvc.yaml", "deps: [model.txt]", "deps: [model.txt, work.py]"), NONE),
    "a dep less": (
        edit("dvc.yaml", "[data/generated, docs/spread.json]", "[data/generated]"),
        NONE,
    ),
    "a further param": (edit("dvc.yaml", "params: [train]", "params: [train, generate]"), NONE),
    "a whole file of params": (edit("dvc.yaml", "params: [train]", "params: [params.yaml:]"), NONE),
    "a metric edited": (edit("metrics/exact.json", "0.", "0.1"), NONE),
    "a metric gone": (remove("metrics/exact.json"), {"evaluate"}),
    "plots gone": (remove("metrics/pictures"), {"evaluate"}),
    "other data here": (put("data/generated/index.csv", "prompt\n"), NONE),
    "another hash of what a stage made": (lambda p: other_hash(p, of="model.txt"), NONE),
    "no lock": (remove("dvc.lock"), NONE),
    "an out less": (edit("dvc.yaml", "      - metrics/captions.tsv: {cache: false}\n", ""), NONE),
    "a new name": (edit("dvc.yaml", "  train:", "  learn:"), NONE),
    "always": (
        edit("dvc.yaml", "deps: [work.py]", "always_changed: true\n    deps: [work.py]"),
        NONE,
    ),
    "frozen": (edit("dvc.yaml", "deps: [work.py]", "frozen: true\n    deps: [work.py]"), {"train"}),
}


@pytest.mark.parametrize("case", CASES)
def test_the_gate_agrees_with_dvc(project: Path, case: str) -> None:
    change, more = CASES[case]
    change(project)
    theirs = dvc_would_run(project)
    assert not more & theirs
    assert {stale.stage for stale in stale_stages(project)} == theirs | more


def test_cases_differ_in_what_is_stale(project: Path) -> None:
    """Were every stage fresh, or every one stale, agreement would prove little."""
    found = set()
    for change in ("nothing", "another number", "code", "a metric edited"):
        run(project, "git", "checkout", "-q", ".")
        CASES[change][0](project)
        found.add(frozenset(stale.stage for stale in stale_stages(project)))
    assert found == {
        frozenset(), frozenset({"generate", "evaluate"}), frozenset({"train"}),
        frozenset({"evaluate"}),
    }  # fmt: skip


def test_a_run_that_has_its_data_and_cache_is_fresh(origin: Path) -> None:
    assert stale_stages(origin.parent / "project") == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("dvc.yaml", "stages: [\n"), ("dvc.yaml", "stages: 3\n"), ("dvc.yaml", "metrics: [x]\n"),
        ("dvc.lock", "a: b: c\n"), ("dvc.lock", "schema: '2.0'\nstages: {train: 3}\n"),
        ("params.yaml", "[" * 3_000), ("params.yaml", "generate: {\n"), ("params.yaml", "\0"),
    ],
)  # fmt: skip
def test_what_dvc_cannot_read_is_one_line(project: Path, name: str, text: str) -> None:
    (project / name).write_text(text)
    with pytest.raises(UserError) as caught:
        stale_stages(project)
    assert "\n" not in str(caught.value)


def test_outside_of_a_repository_it_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="DVC says"):
        stale_stages(tmp_path)

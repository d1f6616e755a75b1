"""A pipeline of three instantaneous stages with the project's metrics, in git and DVC; a remote."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from tiny import ENVIRONMENT, ROOT, run

SPREAD = {
    "runs": 3,
    "deviations": {"exact.unranked.all": 0.01, "exact.unranked.count": 0.05, "neutral.x": 0.1},
}
WORK = """
import json, sys
from pathlib import Path
from PIL import Image
import pytest
from ruamel.yaml import YAML

params = YAML(typ="safe").load(Path("params.yaml"))
heat = params["generate"]["temperature"]
prompts = ["Blue ship", "Red bird"]

def picture(path, shade):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), (int(shade * 100), 80, 120)).save(path)

if sys.argv[1] == "train":
    Path("model.txt").write_text(str(params["train"]["lr"]))
if sys.argv[1] == "generate":
    rows = ["prompt,sample,candidate,file,likelihood,chosen,judged"]
    for number, prompt in enumerate(prompts):
        picture(Path(f"data/generated/draws/{number}.png"), heat / (number + 1))
        rows.append(f"{prompt},0,0,draws/{number}.png,0.5,True,True")
    Path("data/generated/index.csv").write_text("\\n".join(rows) + "\\n")
if sys.argv[1] == "evaluate":
    figures = {
        "exact.unranked.all": 0.9 - heat / 2, "exact.unranked.count": 0.6 - heat / 50,
        "exact.chance.all": 0.02, "exact.real.all": 0.95, "neutral.generated.kid": 3 + heat,
        "prior.bits": 2.5, "prior.neighbours": 4.0, "blip.match.unranked": heat,
        "exact.best_of_n.sort": heat / 3,
    }
    lines = ["part\\tmeasure\\tvalue\\tlow\\thigh\\tn\\tbetter"]
    for name, value in figures.items():
        part, _, measure = name.partition(".")
        lines.append(f"{part}\\t{measure}\\t{value:.6g}\\t\\t\\t\\thigher")
    Path("metrics/figures.tsv").write_text("\\n".join(lines) + "\\n")
    exact = {n.partition(".")[2]: v for n, v in figures.items() if n.startswith("exact.unranked")}
    Path("metrics/exact.json").write_text(json.dumps({"unranked": {
        name.removeprefix("unranked."): value for name, value in exact.items()}}))
    captions = [f"{prompt}\\tcaption" for prompt in prompts]
    Path("metrics/captions.tsv").write_text("\\n".join(["prompt\\tcaption", *captions]) + "\\n")
    picture(Path("metrics/pictures/generated.png"), heat)
"""
DVC_YAML = """\
stages:
  train:
    cmd: python work.py train
    params: [train]
    deps: [work.py]
    outs: [model.txt]
  generate:
    cmd: python work.py generate
    params: [generate]
    deps: [model.txt]
    outs: [data/generated]
  evaluate:
    cmd: python work.py evaluate
    params: [generate]
    deps: [data/generated, docs/spread.json]
    outs:
      - metrics/figures.tsv: {cache: false}
      - metrics/captions.tsv: {cache: false}
    metrics:
      - metrics/exact.json: {cache: false}
    plots:
      - metrics/pictures: {cache: false}
"""
HERE = {"PYTHONPATH": str(ROOT), "GITHUB_SERVER_URL": "https://forge.example"}


def make(folder: Path) -> Path:
    """The repository, run once and committed on `main`; its remote is a bare one beside it."""
    for name in ("docs", "metrics"):
        (folder / name).mkdir(parents=True)
    (folder / "work.py").write_text(WORK)
    (folder / "dvc.yaml").write_text(DVC_YAML)
    (folder / "params.yaml").write_text("train:\n  lr: 0.1\ngenerate:\n  temperature: 0.9\n")
    (folder / "docs" / "spread.json").write_text(json.dumps(SPREAD))
    run(folder, "git", "init", "-q", "-b", "main")
    run(folder, "dvc", "init", "-q")
    (folder / ".dvc" / "config").write_text("[core]\n    analytics = false\n")
    run(folder, "dvc", "repro", "-q")
    commit(folder, "everything")
    bare = folder.parent / "origin.git"
    run(folder, "git", "clone", "-q", "--bare", ".", str(bare))
    run(folder, "git", "remote", "add", "origin", str(bare))
    run(folder, "git", "fetch", "-q", "origin")
    return folder


def commit(folder: Path, message: str = "a change") -> str:
    """Commit everything; returns the commit."""
    run(folder, "git", "add", "-A")
    run(folder, "git", "commit", "-qm", message)
    return head(folder)


def head(folder: Path, name: str = "HEAD") -> str:
    return run(folder, "git", "rev-parse", name).stdout.strip()


def clone(origin: Path, folder: Path, *options: str) -> Path:
    run(origin, "git", "clone", "-q", *options, f"file://{origin}", str(folder))
    return folder


def edit_figures(folder: Path, changes: Mapping[str, str | None]) -> None:
    """Set figures by `part.measure`, as text; None takes one away."""
    path = folder / "metrics" / "figures.tsv"
    rows = [line.split("\t") for line in path.read_text().splitlines()]
    kept = [row for row in rows if f"{row[0]}.{row[1]}" not in changes]
    for name, value in changes.items():
        if value is not None:
            part, _, measure = name.partition(".")
            kept.append([part, measure, value, "", "", "", "higher"])
    path.write_text("\n".join("\t".join(row) for row in kept) + "\n")


def workflow(name: str) -> dict[str, Any]:
    """A workflow of this project, parsed."""
    path = ROOT / ".github" / "workflows" / name
    return dict(YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8")))


def gitlab_script() -> list[str]:
    """The commands of GitLab's review."""
    text = (ROOT / ".gitlab-ci.yml").read_text(encoding="utf-8")
    return list(YAML(typ="safe", pure=True).load(text)["review"]["script"])


def step(file: str, name: str) -> str:
    """What the step `name` of a workflow runs."""
    (job,) = workflow(file)["jobs"].values()
    (found,) = [step["run"] for step in job["steps"] if step.get("name") == name]
    return str(found)


def shell(
    script: str, at: Path, *, path: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """A step as a runner starts it; programs in `path` come first."""
    if sys.platform == "win32":
        pytest.skip("the workflows' steps are run by Linux")
    own = {**ENVIRONMENT, **HERE, **environment}
    if path is not None:
        own["PATH"] = f"{path}{os.pathsep}{own['PATH']}"
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=at, env=own, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


def compare(at: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run(at, sys.executable, "-m", "apps.compare", *arguments, check=False, **HERE)

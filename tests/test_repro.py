"""The whole pipeline, tiny, in a real DVC repository: what runs, what doesn't, what comes out."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from PIL import Image
from test_readme import block
from tiny import ENVIRONMENT, ROOT, change, locked, make_project, run, stages_run, yaml

from apps.runs import FIGURES
from pipeline.data.pairs import read_pairs, write_pairs

STAGES = yaml.load(ROOT / "dvc.yaml")["stages"]


def outs(stage: str) -> list[str]:
    entry = STAGES[stage]
    listed = [*entry.get("outs", []), *entry.get("metrics", []), *entry.get("plots", [])]
    return [next(iter(out)) if isinstance(out, dict) else out for out in listed]


def files(path: Path) -> dict[str, bytes]:
    found = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    return {str(p.relative_to(path)): p.read_bytes() for p in found}


def only(params: dict[str, Any], keys: list[str]) -> dict[str, Any]:
    """The params at `keys`, some of which lie in a section: `data.source`."""
    chosen: dict[str, Any] = {}
    for key in keys:
        *sections, last = key.split(".")
        source, target = params, chosen
        for section in sections:
            source, target = source[section], target.setdefault(section, {})
        target[last] = source[last]
    return chosen


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A repository in which everything was made once."""
    folder = tmp_path_factory.mktemp("repro") / "codebrush"
    folder.mkdir()
    make_project(folder)
    assert len(stages_run(run(folder, "dvc", "repro").stdout)) == 12
    run(folder, "git", "add", "-A")
    run(folder, "git", "commit", "-qm", "everything")
    return folder


def test_it_leaves_pictures_metrics_and_plots(project):
    picture = next((project / "data" / "generated").glob("*.png"))
    with Image.open(picture) as image:
        assert image.size == (32, 32)
        assert set(image.info) >= {"prompt", "seed", "sample", "params"}
    figures = {row.split("\t")[1] for row in (project / FIGURES).read_text().splitlines()}
    for measure in ("bleu", "rouge_1", "rouge_l", "similarity", "match"):
        assert {f"{measure}.{group}" for group in ("unranked", "real", "shuffled")} <= figures
    assert {f"sharpness.{group}" for group in ("generated", "reconstructed", "redrawn")} <= figures
    assert {"redrawn.psnr", "psnr", "bleu.redrawn"} <= figures
    assert not {"meteor.unranked", "lpips.generated", "unranked.all"} & figures
    report = (project / "metrics" / "report.md").read_text()
    assert "- blip: meteor: it needs WordNet" in report
    assert "- exact: exact: the judge calls" in report
    assert {p.name for p in (project / "metrics" / "pictures").iterdir()} >= {
        "generated.png", "nearest.png", "reconstructions.png", "latents_pca.png",
    }  # fmt: skip


def test_a_second_repro_runs_nothing_and_the_status_is_clean(project):
    assert stages_run(run(project, "dvc", "repro").stdout) == []
    assert run(project, "dvc", "status").stdout.strip() == "Data and pipelines are up to date."
    assert run(project, "git", "status", "--porcelain").stdout == ""
    assert not list((project / ".scratch").rglob("*.safetensors"))


def test_elsewhere_with_another_clock_locale_and_hash_seed_the_bytes_are_the_same(
    project, tmp_path
):
    run(tmp_path, "git", "clone", "-q", str(project), "elsewhere")
    elsewhere = {
        "TZ": "Pacific/Auckland", "LC_ALL": "C", "PYTHONHASHSEED": "4711", "USER": "someone",
        "HOME": str(tmp_path), "CODEBRUSH_SCRATCH": str(tmp_path / "scratch"),
    }  # fmt: skip
    done = run(tmp_path / "elsewhere", "dvc", "repro", "--force", **elsewhere)
    assert len(stages_run(done.stdout)) == 12
    assert locked(tmp_path / "elsewhere") == locked(project)
    assert run(tmp_path / "elsewhere", "git", "status", "--porcelain").stdout == ""


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_given_only_what_it_declares_makes_the_same(project, tmp_path, stage):
    """No file that it does not list, no param that it does not list: DVC is told the truth."""
    entry = STAGES[stage]
    for dep in entry["deps"]:
        dep = dep.replace("${data.watch}", "annotations").replace("${prior}", "pixelsnail")
        (tmp_path / dep).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (project / dep).is_dir() else shutil.copy
        copy(project / dep, tmp_path / dep)
    params = yaml.load(project / "params.yaml")
    yaml.dump(only(params, entry["params"]), tmp_path / "params.yaml")
    shutil.copy(project / "dvc.yaml", tmp_path)
    # The check of all sections reads more; it can only refuse, and so is no dep.
    anything_goes = "def check_params(path, own, *, processes):\n    return []\n"
    (tmp_path / "stages" / "checking.py").write_text(anything_goes)
    run(tmp_path, sys.executable, "-m", "stages", stage, PYTHONPATH="")
    for out in outs(stage):
        wanted, made = files(project / out), files(tmp_path / out)
        assert made == wanted
        assert made


def test_models_load_by_the_names_that_the_readme_gives(project):
    script = (
        "import pipeline\n"
        "from transformers import BlipForConditionalGeneration as C\n"
        "from transformers import BlipForImageTextRetrieval as R\n"
        "from pipeline.models.vqvae import VQVAE\n"
        "from pipeline.models.flow_decoder import FlowDecoder\n"
        "from pipeline.models.pixelsnail import PixelSNAIL\n"
        "from pipeline.codes import CodeStore\n"
        "R.from_pretrained('models/blip/retrieval'); C.from_pretrained('models/blip/captioner')\n"
        "VQVAE.from_pretrained('models/vqvae'); PixelSNAIL.from_pretrained('models/pixelsnail')\n"
        "FlowDecoder.from_pretrained('models/decoder')\n"
        "codes, name = CodeStore.open('data/codes.lmdb')[0]\n"
        "print(codes.shape, name)"
    )
    done = run(project, sys.executable, "-c", script)
    assert done.stdout.startswith("(10, 8) ")


def test_a_table_of_other_pairs_is_one_line_not_a_prior_trained_on_wrong_captions(
    project, tmp_path
):
    """A stage started by hand has no DVC to see that its inputs do not belong together."""
    for name in ("params.yaml", "dvc.yaml", "pipeline", "stages", "models/vqvae", "data"):
        copy = shutil.copytree if (project / name).is_dir() else shutil.copy
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        copy(project / name, tmp_path / name)
    table = tmp_path / "data" / "pairs.jsonl"
    pairs = read_pairs(table)
    table.unlink()
    write_pairs(table, [dataclasses.replace(p, id=p.id + 1) for p in pairs])
    done = run(tmp_path, sys.executable, "-m", "stages", "train_pixelsnail", check=False)
    assert done.returncode == 1
    assert "error: data/codes.lmdb: record 0 is of pair" in done.stderr
    assert done.stderr.strip().count("\n") == 0


def test_the_readmes_ways_to_vary_it_rerun_what_they_should(project):
    """Its bash block, line by line, each from what is committed."""
    reruns = {
        "vqvae.n_embed": [
            "train_vqvae", "dump_codes", "train_decoder", "train_pixelsnail", "train_diffusion",
            "generate", "evaluate",
        ],
        "generate.temperature": ["generate", "evaluate"],
    }  # fmt: skip
    said: dict[str, str] = {}
    for line in block("bash").splitlines():
        command = line.partition("#")[0].strip()
        done = run(project, "bash", "-euo", "pipefail", "-c", command)
        said[command] = done.stdout
        for param, stages in reruns.items():
            if param in command:
                assert stages_run(done.stdout) == stages
    assert "generation" not in said["dvc metrics diff --md"]
    assert re.search(r"\| metrics/prior\.json +\| bits ", said["dvc metrics diff --md"])
    assert "| `prior.bits` |" in said["python -m apps.compare"]
    shown = json.loads(run(project, "dvc", "exp", "show", "--json").stdout)
    found = [one["revs"][0]["data"] for commit in shown for one in commit["experiments"] or []]
    assert len(found) == 2
    bleu = [one["metrics"]["metrics/blip.json"]["data"]["bleu"]["unranked"] for one in found]
    assert all(0 <= figure <= 1 for figure in bleu)
    run(project, "git", "checkout", "-q", ".")
    run(project, "dvc", "checkout", "-q")


def test_the_other_prior_is_one_switch_away(project):
    """Everything after it knows only the seam; the one that was trained makes room for it."""
    done = run(project, "dvc", "exp", "run", "-S", "prior=diffusion")
    assert stages_run(done.stdout) == [
        "train_pixelsnail", "train_diffusion", "generate", "evaluate",
    ]  # fmt: skip
    assert {p.name for p in (project / "models" / "pixelsnail").iterdir()} == {"manifest.json"}
    assert (project / "models" / "diffusion" / "top" / "model.safetensors").exists()
    assert "nothing to train: the prior is diffusion" in done.stderr + done.stdout
    painter = json.loads((project / "models" / "painter.json").read_text())
    assert painter["parts"]["prior"]["folder"] == "diffusion"
    bits = json.loads((project / "metrics" / "prior.json").read_text())
    assert bits["bits"] > 0
    figures = (project / FIGURES).read_text()
    assert "\tbits_bound\t" in figures
    assert "\tbits_one_by_one\t" in figures
    run(project, "git", "checkout", "-q", ".")
    run(project, "dvc", "checkout", "-q")


def test_the_readmes_python_paints_a_picture(project):
    done = run(project, sys.executable, "-c", block("python"))
    assert done.stdout.startswith("(32, 32, 3) likelihood: 0.")


@pytest.mark.skipif(sys.platform == "win32", reason="kills the launcher, not what it started")
def test_a_killed_stage_goes_on_and_ends_in_the_same_bytes(project):
    """SIGKILL in the middle of training, twice; the lock must not change by a byte."""
    before = locked(project)
    for steps in (1, 3):
        stage = subprocess.Popen(
            [sys.executable, "-m", "stages", "train_vqvae"], cwd=project,
            env={**ENVIRONMENT, "CODEBRUSH_SCRATCH": str(project / ".scratch")},
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        _wait_for_checkpoint(project, steps)
        stage.kill()
        stage.wait(timeout=60)
    assert list((project / ".scratch" / "train_vqvae").rglob("*.safetensors"))
    done = run(project, "dvc", "repro", "--force", "--single-item", "train_vqvae")
    assert "going on from step" in done.stderr
    assert locked(project) == before
    assert run(project, "git", "status", "--porcelain", "dvc.lock").stdout == ""


@pytest.mark.skipif(sys.platform == "win32", reason="kills the launcher, not what it started")
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_the_prior_trains_beside_the_decoder_until_that_ends(project, end):
    changes = {"threads": 2, "decoder": {"steps": 10**6}, "pixelsnail": {"steps": 10**6}}
    with _decoder_beside_prior(project, changes) as stage:
        company = psutil.Process(stage.pid).children(recursive=True)
        assert len(company) == 2  # the prior's stage, and who started it
        os.killpg(stage.pid, end) if end == signal.SIGINT else stage.kill()
        stage.wait(timeout=60)
        assert psutil.wait_procs(company, timeout=20)[1] == []


@pytest.mark.skipif(sys.platform == "win32", reason="kills the launcher, not what it started")
def test_what_was_trained_beside_the_decoder_comes_out_the_same(project):
    before = files(project / "models/pixelsnail")
    changes = {"threads": 2, "decoder": {"steps": 10**6}}
    with _decoder_beside_prior(project, changes) as stage:
        company = psutil.Process(stage.pid).children(recursive=True)
        stage.kill()
        stage.wait(timeout=60)
        psutil.wait_procs(company, timeout=20)
        assert files(project / "models/pixelsnail") == before
        assert "metrics/curves/pixelsnail" not in run(project, "git", "status", "--short").stdout
        done = run(project, sys.executable, "-m", "stages", "train_pixelsnail")
        assert "PixelSNAIL, level 1: going on from step" in done.stderr
        assert files(project / "models/pixelsnail") == before  # of one thread, as half of two are


@contextlib.contextmanager
def _decoder_beside_prior(
    project: Path, changes: dict[str, Any]
) -> Iterator[subprocess.Popen[bytes]]:
    """The decoder's stage at work, and some steps of the prior done; then all is as it was."""
    change(project, changes)
    stage = subprocess.Popen(
        [sys.executable, "-m", "stages", "train_decoder"], cwd=project,
        env={**ENVIRONMENT, "CODEBRUSH_SCRATCH": str(project / ".scratch")},
        stderr=subprocess.DEVNULL, start_new_session=True,
        # Where the tests run in the background, a shell has told them to ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    try:
        _wait_for_checkpoint(project, 3, of="train_pixelsnail")
        yield stage
    finally:
        stage.kill()
        shutil.rmtree(project / ".scratch/train_pixelsnail")
        run(project, "git", "checkout", "-q", ".")


def _wait_for_checkpoint(project: Path, steps: int, *, of: str = "train_vqvae") -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until:
        found = (project / ".scratch" / of).rglob("0*.safetensors")
        if any(int(path.name.split("-")[0]) >= steps for path in found):
            return
        time.sleep(0.002)
    raise AssertionError("no checkpoint was written")


def test_a_param_that_cannot_be_costs_nothing_that_was_made(project):
    change(project, {"generate": {"top_p": 2.0}})
    done = run(project, "dvc", "repro", check=False)
    run(project, "git", "checkout", "-q", "params.yaml")
    assert done.returncode != 0
    assert "error: params.yaml: generate.top_p = 2.0" in done.stderr
    assert "Traceback" not in done.stderr
    run(project, "dvc", "checkout")
    assert run(project, "dvc", "status").stdout.strip() == "Data and pipelines are up to date."


def test_what_was_pushed_is_pulled_and_nothing_runs(project, tmp_path):
    run(project, "dvc", "remote", "add", "--local", "-d", "store", str(tmp_path / "store"))
    run(project, "dvc", "push", "-q")
    run(tmp_path, "git", "clone", "-q", str(project), "clone")
    clone = tmp_path / "clone"
    run(clone, "dvc", "remote", "add", "--local", "-d", "store", str(tmp_path / "store"))
    run(clone, "dvc", "pull", "-q")
    assert stages_run(run(clone, "dvc", "repro").stdout) == []


def test_a_bare_clone_knows_that_all_is_up_to_date(project, tmp_path):
    run(tmp_path, "git", "clone", "-q", str(project), "clone")
    done = run(tmp_path / "clone", "dvc", "repro", "--dry", "--allow-missing")
    assert "Data and pipelines are up to date." in done.stdout

"""The launcher: one line for a user's mistake, and the environment that a stage needs."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import lmdb
import pytest
from safetensors import SafetensorError

from stages.__main__ import _shortage

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def project(tmp_path) -> Path:
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("pipeline", "stages"):  # deps, of which a run's folder knows
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def run(project: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "stages", *arguments], cwd=project, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment}, timeout=120,
    )  # fmt: skip


def edit(project: Path, old: str, new: str) -> None:
    path = project / "params.yaml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [((), "'nothing' is none of download"), (("paint",), "'paint' is none of download")],
)
def test_an_unknown_stage_is_one_line(project, arguments, said):
    done = run(project, *arguments)
    assert done.returncode == 1
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_maps_of_bytes_and_pixels_do_without_torch(project):
    script = (
        "import sys; from stages.__main__ import main;"
        "print(main([sys.argv[1]]), 'torch' in sys.modules)"
    )
    edit(project, "source: sample", "source: louvre")
    for stage in ("download", "resize_images"):
        done = subprocess.run(
            [sys.executable, "-c", script, stage], cwd=project, capture_output=True, text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), "CODEBRUSH_PREPARED": "1"}, timeout=120,
        )  # fmt: skip
        assert done.stdout == "1 False\n", done.stderr


@pytest.mark.parametrize(
    ("stage", "old", "new", "said"),
    [
        ("download", "source: sample", "source: louvre", "data.source = 'louvre'"),
        ("download", "source: sample", "source: json", "data.json.train"),
        ("download", "source: sample", "source: musti", "MediaEval"),
        ("train_vqvae", "n_embed: 128 ", "n_embed: 70000 ", "vqvae.n_embed = 70000"),
        ("train_vqvae", "downsample: 8", "downsample: 5", "image_size = 64: expected a multiple"),
        ("train_vqvae", "threads: 2", "threads: two", "threads = 'two'"),
        ("train_vqvae", "threads: 2", "threads: 0", "threads = 0: Input should be greater"),
        ("download", "seed: 0", "seed: -1", "seed = -1: Input should be greater"),
        ("evaluate", "seed: 0", "seed: 4294967296", "seed = 4294967296: Input should be less"),
        ("train_vqvae", "set: avx2", "set: avx3", "instruction_set = 'avx3'"),
        ("train_pixelsnail", "kernel_size: 2", "kernel: 2", "pixelsnail.kernel: unknown key"),
        ("generate", "top_p: 1.0", "top_p: 1.5", "generate.top_p = 1.5"),
        ("generate", "judged_prompts: 0", "judged_prompts: -1", "generate.judged_prompts = -1"),
        ("finetune_blip", "num_beams: 1", "num_beams: 0", "blip.num_beams = 0"),
        ("evaluate", "grid_pictures: 48", "grid_pictures: 1", "evaluate.grid_pictures = 1"),
    ],
)
def test_a_mistake_in_params_is_one_line_before_any_work(project, stage, old, new, said):
    edit(project, old, new)
    done = run(project, stage)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (project / "data").exists()


def test_an_input_that_is_missing_is_one_line(project):
    done = run(project, "train_vqvae")
    assert done.returncode == 1
    assert "data/pairs.jsonl: no such file" in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_impossible_number_of_processes_is_one_line(project):
    done = run(project, "train_vqvae", CODEBRUSH_PROCESSES="many")
    assert done.returncode == 1
    assert done.stderr == (
        "error: CODEBRUSH_PROCESSES = 'many': expected a whole number of at least 1\n"
    )


def test_a_batch_that_processes_cannot_share_ends_the_run_before_the_first_stage(project):
    done = run(project, "download", CODEBRUSH_PROCESSES="5")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "batch_size = 48: 5 processes share it" in done.stderr
    assert not (project / "data").exists()


def test_a_stage_that_is_one_process_refuses_torchrun_in_one_line(project):
    done = run(project, "train_judge", WORLD_SIZE="2", RANK="0")
    assert done.returncode == 1
    assert done.stderr.startswith(
        "error: train_judge is one process; torchrun is for finetune_blip"
    )
    assert done.stderr.count("\n") == 1
    # The first of each machine says it.
    assert run(project, "train_judge", WORLD_SIZE="2", RANK="1", LOCAL_RANK="1").stderr == ""
    other = run(project, "train_judge", WORLD_SIZE="2", RANK="1", LOCAL_RANK="0")
    assert other.stderr.startswith("error: process 1: train_judge is one process")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "data/x"), "data/x: No space left"),
        (MemoryError(), "not enough memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: 9 bytes"), "not enough memory"),
        (SafetensorError("Error: No space left on device (os error 28)"), "No space left"),
        (lmdb.Error("mdb_txn_commit: No space left on device"), "No space left"),
    ],
)
def test_what_ran_out_is_one_line_whichever_library_noticed(error, said):
    line = _shortage(error)
    assert line is not None
    assert said in line
    assert "\n" not in line


def test_a_fault_of_ours_keeps_its_traceback():
    assert _shortage(ValueError("codes of shape (3, 3)")) is None
    assert _shortage(FileNotFoundError(errno.ENOENT, "No such file or directory", "x")) is None

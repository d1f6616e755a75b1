"""The whole pipeline, tiny, in a DVC repository of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[1]
yaml = YAML()

SMALL_TRAINING = {"steps": 6, "batch_size": 8, "validate_every": 3, "checkpoint_every": 1}
TINY = {
    "threads": 1,
    "data": {"sample": {"train": 60, "test": 20, "size": 32}},
    "blip": {
        **SMALL_TRAINING, "image_size": 16, "hidden_size": 16, "vision_layers": 1,
        "text_layers": 1, "heads": 2, "projection_dim": 8, "stem_channel": 4,
    },
    "vqvae": {
        **SMALL_TRAINING, "image_size": 32, "downsample": 4, "levels": 2, "n_embed": 32,
        "channel": 16, "n_res_block": 1, "res_channel": 16, "embed_dim": 8,
    },
    "decoder": {
        **SMALL_TRAINING, "channels": [8, 16], "n_res_block": 1,
        "guide": {"channels": [8, 8], "steps": 3},
    },
    "pixelsnail": {
        **SMALL_TRAINING, "channel": 32, "n_block": 1, "n_res_block": 1, "res_channel": 16,
    },
    "diffusion": {**SMALL_TRAINING, "hidden_size": 16, "layers": 1, "heads": 2},
    "judge": {"pictures": 20, "held_out_pictures": 10, "image_size": 32, "channel": 4, "steps": 2},
    "generate": {
        "judged_prompts": 10, "candidates": 2, "steps": 2, "decoder_steps": 2, "batch_size": 8,
    },
    "evaluate": {"pictures_per_label": 2, "mixture_pictures": 2, "grid_pictures": 8},
}  # fmt: skip
ENVIRONMENT = {
    **os.environ,
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "GIT_CONFIG_COUNT": "2",
    "GIT_CONFIG_KEY_0": "user.name", "GIT_CONFIG_VALUE_0": "Painter",
    "GIT_CONFIG_KEY_1": "user.email", "GIT_CONFIG_VALUE_1": "painter@example.org",
}  # fmt: skip


def make_project(folder: Path, **changes: Any) -> None:
    """A repository of this code with tiny params, in which nothing has been made yet."""
    for name in ("pipeline", "stages", "annotations"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "docs").mkdir()
    for name in ("dvc.yaml", "params.yaml", ".gitignore", ".dvcignore", "docs/spread.json"):
        shutil.copy(ROOT / name, folder / name)
    change(folder, TINY)
    change(folder, changes)
    run(folder, "git", "init", "-q")
    run(folder, "dvc", "init", "-q")


def run(
    project: Path, *command: str, check: bool = True, **environment: str
) -> subprocess.CompletedProcess[str]:
    """A command in the project, with what it says."""
    done = subprocess.run(
        command, cwd=project, env={**ENVIRONMENT, **environment}, capture_output=True, text=True,
        timeout=280,
    )  # fmt: skip
    assert not check or done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done


def change(project: Path, changes: dict[str, Any]) -> None:
    """Set params; each must exist."""

    def merge(old: dict[str, Any], new: dict[str, Any]) -> None:
        for key, value in new.items():
            assert key in old, key
            if isinstance(value, dict):
                merge(old[key], value)
            else:
                old[key] = value

    path = project / "params.yaml"
    params = yaml.load(path)
    merge(params, changes)
    yaml.dump(params, path)


def stages_run(output: str) -> list[str]:
    """The stages that `dvc repro` says it ran."""
    return [line.split("'")[1] for line in output.splitlines() if "Running stage" in line]


def locked(project: Path) -> dict[str, str]:
    """The hash of every out in dvc.lock."""
    lock = yaml.load(project / "dvc.lock")
    return {out["path"]: out["md5"] for s in lock["stages"].values() for out in s["outs"]}

"""Training in two processes, as on two GPUs; a mistake is said once, before torchrun's words."""

from __future__ import annotations

from pathlib import Path

from tiny import change, make_project, run


def test_two_processes_train_every_model(tmp_path: Path) -> None:
    make_project(tmp_path, blip={"steps": 2}, vqvae={"steps": 2}, pixelsnail={"steps": 2})
    done = run(tmp_path, "dvc", "repro", "train_pixelsnail", CODEBRUSH_PROCESSES="2")
    assert (tmp_path / "models" / "pixelsnail" / "model.safetensors").exists()
    assert done.stderr.count("Traceback") == 0
    change(tmp_path, {"vqvae": {"batch_size": 7}})
    done = run(tmp_path, "dvc", "repro", "train_vqvae", check=False, CODEBRUSH_PROCESSES="2")
    assert done.returncode
    said = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    key = "params.yaml: vqvae.batch_size"
    assert said == [f"error: {key} = 7: 2 processes share it, so it must be a multiple of 2"]

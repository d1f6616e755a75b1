"""The training loop: same bytes whatever happens, the best weights kept."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
import torch.multiprocessing as mp
from torch import nn

from pipeline.training.checkpoints import Checkpoints
from pipeline.training.loop import (
    TrainingSettings,
    build_accelerator,
    fit,
    lr_share,
    share_buffers,
)

SETTINGS = {
    "steps": 12, "batch_size": 4, "lr": 0.05, "warmup_steps": 2, "weight_decay": 0.01,
    "grad_clip": 1.0, "ema_decay": 0.9, "validate_every": 3, "patience": 0,
    "checkpoint_every": 2, "precision": "fp32",
}  # fmt: skip


class Line:
    """A line to fit, through a layer with dropout so that the random state matters."""

    def __init__(self, stop_at: int | None = None) -> None:
        torch.manual_seed(1)
        self.model: nn.Module = nn.Sequential(nn.Linear(2, 16), nn.Dropout(0.3), nn.Linear(16, 1))
        self.rows = 10
        self.x = torch.randn(10, 2, generator=torch.Generator().manual_seed(2))
        self.y = self.x.sum(dim=1, keepdim=True)
        self.stop_at, self.steps = stop_at, 0

    def loss(self, model: nn.Module, rows: torch.Tensor):
        if self.steps == self.stop_at:
            raise KeyboardInterrupt
        self.steps += 1
        loss = (model(self.x[rows]) - self.y[rows]).square().mean()
        return loss, {"twice": 2 * loss}

    def validate(self, model: nn.Module) -> dict[str, float]:
        return {"loss": float((model(self.x) - self.y).square().mean())}


def run(
    folder: Path, stop_at: int | None = None, write_curve=lambda _: None, by_muon=(), **changes
):
    task = Line(stop_at)
    curve = fit(
        task, TrainingSettings(**{**SETTINGS, **changes}), accelerator=build_accelerator("fp32"),
        checkpoints=Checkpoints(folder), seed=5, label="line", write_curve=write_curve,
        by_muon=by_muon,
    )  # fmt: skip
    return task, curve


def same(a: nn.Module, b: nn.Module) -> bool:
    pairs = zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    return all(torch.equal(x, y) for x, y in pairs)


@pytest.mark.parametrize("by_muon", [(), ("0.weight", "3.weight")])
@pytest.mark.parametrize("stop_at", [1, 2, 5, 11])
def test_an_interrupted_run_ends_in_the_bytes_of_an_undisturbed_one(tmp_path, stop_at, by_muon):
    whole, curve = run(tmp_path / "whole", by_muon=by_muon)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "broken", stop_at=stop_at, by_muon=by_muon)
    continued, later = run(tmp_path / "broken", by_muon=by_muon)
    assert continued.steps == 12 - stop_at // 2 * 2  # from the last checkpoint, not from the start
    assert same(whole.model, continued.model)
    assert later == curve
    assert [list(row) for row in later] == [list(row) for row in curve]  # columns of the file


def test_muon_moves_the_parameters_named_and_no_others(tmp_path):
    adamw, _ = run(tmp_path / "adamw", steps=1, ema_decay=0.0)
    muon, _ = run(tmp_path / "muon", steps=1, ema_decay=0.0, by_muon=["0.weight"])
    pairs = zip(muon.model.named_parameters(), adamw.model.parameters(), strict=True)
    assert [name for (name, a), b in pairs if not torch.equal(a, b)] == ["0.weight"]


def _one_of_two(rank: int, meeting: str, folder: str) -> None:
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{meeting}", rank=rank, world_size=2
    )
    model = nn.BatchNorm1d(3)
    model(torch.full((4, 3), float(rank)) + torch.arange(4.0)[:, None])
    share_buffers(model)
    torch.save(model.state_dict(), f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()


@pytest.mark.skipif(os.name == "nt", reason="gloo meets through a file")
def test_processes_that_saw_other_rows_validate_the_same_model(tmp_path):
    mp.spawn(_one_of_two, (str(tmp_path / "meeting"), str(tmp_path)), nprocs=2)
    first, second = (torch.load(tmp_path / f"{n}.pt", weights_only=True) for n in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert first["running_mean"].tolist() == pytest.approx([0.15] * 3)  # of the first one's rows


def test_the_curve_can_be_read_after_each_validation(tmp_path):
    written: list[list[float]] = []
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, 7, lambda curve: written.append([row["step"] for row in curve]))
    assert written == [[3], [3, 6]]
    _, curve = run(tmp_path, None, lambda curve: written.append([row["step"] for row in curve]))
    assert written[2:] == [[3, 6, 9], [3, 6, 9, 12], [3, 6, 9, 12]]
    assert [row["step"] for row in curve] == [3, 6, 9, 12]


def test_a_damaged_checkpoint_falls_back_to_the_one_before(tmp_path, capsys):
    whole, _ = run(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "broken", stop_at=7)
    newest = max((tmp_path / "broken").glob("*.safetensors"))
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    newest.write_bytes(content)
    continued, _ = run(tmp_path / "broken")
    assert "damaged" in capsys.readouterr().err
    assert continued.steps == 12 - 4
    assert same(whole.model, continued.model)


def test_a_finished_run_that_is_started_again_does_no_step(tmp_path):
    first, _ = run(tmp_path)
    again, _ = run(tmp_path)
    assert again.steps == 0
    assert same(first.model, again.model)


def test_only_the_last_two_checkpoints_are_kept(tmp_path):
    run(tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_the_weights_that_validated_best_are_kept(tmp_path):
    task, curve = run(tmp_path, lr=0.2, steps=30)
    best = min(row["val_loss"] for row in curve)
    with torch.no_grad():
        assert task.validate(task.model)["loss"] == pytest.approx(best)


def test_training_stops_when_validation_has_long_not_improved(tmp_path):
    _, curve = run(tmp_path, lr=1e-9, patience=2, steps=300, ema_decay=0.0, weight_decay=0.0)
    assert curve[-1]["step"] < 300


def test_a_loss_that_is_not_finite_ends_the_run_and_names_the_step(tmp_path):
    with pytest.raises(FloatingPointError, match="step 3"):
        run(tmp_path, lr=1e30, grad_clip=1e30)


def test_the_learning_rate_warms_up_and_falls():
    settings = TrainingSettings(**{**SETTINGS, "steps": 100, "warmup_steps": 10})
    shares = [lr_share(step, settings) for step in range(100)]
    assert shares[0] == pytest.approx(0.1)
    assert max(shares) == pytest.approx(1.0)
    assert shares[10:] == sorted(shares[10:], reverse=True)
    assert shares[-1] < 0.03

"""Training: the arithmetic of each stage's step, and its share of what the machine can do.

python -m benchmarks.training_rate [--json results.json]

A step is that of the stage's own loop at params.yaml's sizes,
with clipping, optimiser and averaging.
What is counted are the products and convolutions of forward, backward and Muon. The share of a
step's time that they take tells products which are slow themselves from time that goes elsewhere.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from apps.doctor.speed import Training, step_seconds, trainings
from benchmarks.measure import machine, report
from pipeline.devices import repeat_exactly
from pipeline.training.muon import Muon

PARAMS = Path("params.yaml")
STAGES = ("finetune_blip", "train_vqvae", "train_decoder", "train_pixelsnail", "train_diffusion")
PRODUCTS = (  # the processor's operators that do the arithmetic counted, by their names' ends
    "::mm", "::addmm", "::addmm_", "::bmm", "::baddbmm", "::mkldnn_convolution",
    "::convolution_backward", "_attention_for_cpu", "_attention_for_cpu_backward",
)  # fmt: skip


def arithmetic(training: Training) -> tuple[float, float]:
    """Operations of a step, two for each multiplication and sum: the model's, and Muon's."""
    task, model = training.task, training.task.model.train()
    rows = torch.arange(training.settings.batch_size) % task.rows
    with FlopCounterMode(display=False) as of_model:
        task.loss(model, rows)[0].backward()
    moved = [value for name, value in model.named_parameters() if name in set(training.by_muon)]
    if not moved:
        return float(of_model.get_total_flops()), 0.0
    with FlopCounterMode(display=False) as of_muon:
        Muon([{"params": moved}], lr=0.0).step()
    return float(of_model.get_total_flops()), float(of_muon.get_total_flops())


def in_products(training: Training) -> float:
    """The share of the processor's time in a step that products and convolutions take."""
    with profile(activities=[ProfilerActivity.CPU]) as run:
        step_seconds(training)
    spent = {event.key: event.self_cpu_time_total for event in run.key_averages()}
    products = sum(time for name, time in spent.items() if name.endswith(PRODUCTS))
    return products / sum(spent.values())


def main() -> None:
    repeat_exactly()
    rows: list[dict[str, Any]] = []
    for stage in STAGES:
        for training in trainings(stage, PARAMS):
            of_model, of_muon = arithmetic(training)
            seconds = step_seconds(training)
            about = machine()  # beside each stage: others' load comes and goes
            rate = (of_model + of_muon) / seconds / 1e9
            rows.append(
                {
                    "stage": stage,
                    "GFLOP a step": of_model / 1e9,
                    "of Muon besides": of_muon / 1e9,
                    "milliseconds": 1e3 * seconds,
                    "GFLOP/s": rate,
                    "of the product rate": rate / about["product GFLOP/s"],
                    "of the convolution rate": rate / about["convolution GFLOP/s"],
                    "of its time in them": in_products(training),
                }
            )
    report(rows)


if __name__ == "__main__":
    main()

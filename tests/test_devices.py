"""That torch repeats itself, tried where two threads would add in either order; slow bfloat16;
whose accelerator is whose.
"""

import subprocess
import sys

import pytest
import torch

from pipeline import devices
from pipeline.devices import best_device, own_device, warn_of_emulation

PROGRAM = """
import hashlib, torch
from pipeline.devices import repeat_exactly

repeat_exactly()
torch.set_num_threads(2)
generator = torch.Generator().manual_seed(0)
states = torch.randn(16, 4096, generator=generator).requires_grad_()
rows = torch.randint(16, (512,), generator=generator)
weights = torch.randn(512, 4096, generator=generator)
for _ in range(20):
    (gradient,) = torch.autograd.grad((states[rows] * weights).sum(), states)
    print(hashlib.sha256(gradient.numpy().tobytes()).hexdigest())
"""


def test_the_gradient_of_an_index_is_the_same_bytes_each_time():
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    digests = done.stdout.split()
    assert len(digests) == 20
    assert len(set(digests)) == 1  # without repeat_exactly, nearly each is another


@pytest.mark.skipif(best_device().type != "cpu", reason="an accelerator has bfloat16 of its own")
@pytest.mark.parametrize(
    ("precision", "capability", "said"),
    [("bf16", "AVX2", True), ("bf16", "AVX512", False), ("fp32", "AVX2", False)],
)
def test_bfloat16_without_instructions_for_it_is_told(
    precision, capability, said, monkeypatch, capsys
):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    warn_of_emulation(precision)
    captured = capsys.readouterr()
    assert ("many times slower" in captured.out + captured.err) == said


@pytest.mark.parametrize(("rank", "index"), [(None, 0), ("3", 3), ("5", 1)])
def test_processes_of_a_machine_take_an_accelerator_each(rank, index, monkeypatch):
    monkeypatch.setattr(devices, "best_device", lambda: torch.device("cuda"))
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: 4)
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    if rank is not None:
        monkeypatch.setenv("LOCAL_RANK", rank)
    assert own_device() == torch.device("cuda", index)
    monkeypatch.setattr(devices, "best_device", lambda: torch.device("cpu"))
    assert own_device() == torch.device("cpu")

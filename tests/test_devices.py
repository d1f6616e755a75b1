"""The promise that torch repeats itself, tried where two threads would add in either order."""

import subprocess
import sys

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

"""A memory limit ends in an error, not in OpenBLAS's endless wait for its buffers."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys
from pathlib import Path
from pipeline.evaluation.blas import claim_buffers
import scipy.linalg, numpy as np

def leave(mebibytes):
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + mebibytes * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))

leave(int(sys.argv[1]))
claim_buffers()
leave(16)  # for the matrices; a buffer takes 32
for svd in (np.linalg.svd, scipy.linalg.svd):
    svd(np.eye(64))
print("done")
"""


def claim(mebibytes: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", SCRIPT, str(mebibytes)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are Linux's")
def test_too_little_memory_is_an_error_at_once():
    done = claim(64)
    assert done.returncode == 1
    assert "Cannot allocate memory" in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are Linux's")
def test_what_was_claimed_serves_when_there_is_no_more():
    done = claim(1024)
    assert done.stdout == "done\n", done.stderr

"""OpenBLAS waits for ever for a buffer that a memory limit refuses; ask for it before."""

from __future__ import annotations

import mmap

import numpy as np
import scipy.linalg.blas

ROOM = 256 * 2**20  # bytes; numpy and scipy bring an OpenBLAS each, and each takes 32 MiB a thread


def claim_buffers() -> None:
    """Have both libraries take the memory that they multiply in, which they keep.

    Raises:
        OSError: under a limit (`ulimit -v`, a batch system's) there is too little of it.
    """
    with mmap.mmap(-1, ROOM):
        pass
    square = np.ones((256, 256))
    np.dot(square, square)
    scipy.linalg.blas.dgemm(1.0, square, square)

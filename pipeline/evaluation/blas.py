"""Memory for OpenBLAS, asked for before it is needed.

Where a limit refuses its buffer, scipy's OpenBLAS waits for ever and numpy's ends the process.
"""

from __future__ import annotations

import mmap

import numpy as np
import scipy.linalg.blas

# Bytes. numpy and scipy bring an OpenBLAS each; on two threads each was seen to take 32 MiB.
ROOM = 256 * 2**20


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

"""Arrays that grow with the pictures: mapped files without a name, which end with their process."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike

AT_A_TIME = 1024  # rows that are copied


def on_disk(shape: tuple[int, ...], dtype: DTypeLike, folder: Path) -> np.ndarray:
    """Make an array of zeros, whose pages the system writes to the disk when it needs the room.

    Args:
        shape: not empty.
        folder: on the disk that is to hold it.

    Raises:
        OSError: the disk is too full.
    """
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    with tempfile.TemporaryFile(dir=folder) as file:
        if hasattr(os, "posix_fallocate"):  # else a full disk would be told by a signal, later
            os.posix_fallocate(file.fileno(), 0, size)
        return np.memmap(file, dtype=dtype, mode="w+", shape=shape).view(np.ndarray)


def gathered(array: np.ndarray, rows: np.ndarray, folder: Path) -> np.ndarray:
    """Some rows of an array, at least one, as one `on_disk`."""
    found = on_disk((len(rows), *array.shape[1:]), array.dtype, folder)
    for start in range(0, len(rows), AT_A_TIME):
        here = slice(start, start + AT_A_TIME)
        found[here] = array[rows[here]]
    return found

"""Which one this is of several processes, by the environment that launchers give them.

Who starts one by hand to help says so by `CODEBRUSH_HELPER=1`: it is never the first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

TOLD = (
    "SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_STEP",
    "SLURM_ARRAY_TASK_COUNT", "SLURM_PROCID", "SLURM_NTASKS", "SKYPILOT_NODE_RANK",
    "SKYPILOT_NUM_NODES", "RANK", "WORLD_SIZE", "GROUP_WORLD_SIZE",
)  # fmt: skip


@dataclass(frozen=True)
class Place:
    """One of several processes that were started to do the same.

    Attributes:
        number: 0 for the first one.
        count: how many there are.
    """

    number: int = 0
    count: int = 1

    @classmethod
    def find(cls, environment: Mapping[str, str]) -> Place:
        """This process's place; launchers may stand in one another.

        In each task of a Slurm array, say, torchrun starts a process for each GPU.
        """
        number, count = 0, 1
        for own, of in _levels(environment):
            number, count = number * of + own, count * of
        return cls(number, count)


def _levels(environment: Mapping[str, str]) -> Iterator[tuple[int, int]]:
    """A process's number, and of how many, by each launcher, the outermost first."""
    if environment.get("CODEBRUSH_HELPER", "0") not in ("", "0"):
        yield 1, 2  # whom it helps is the first of two
    told = {key: int(environment[key]) for key in TOLD if environment.get(key)}
    if (task := told.get("SLURM_ARRAY_TASK_ID")) is not None:
        before = task - told.get("SLURM_ARRAY_TASK_MIN", 0)
        yield before // told.get("SLURM_ARRAY_TASK_STEP", 1), told.get("SLURM_ARRAY_TASK_COUNT", 1)
    if told.get("GROUP_WORLD_SIZE", 1) == 1:  # else torchrun counts through all machines
        if "SKYPILOT_NODE_RANK" in told:  # SkyPilot may itself stand on Slurm
            yield told["SKYPILOT_NODE_RANK"], told.get("SKYPILOT_NUM_NODES", 1)
        elif "SLURM_PROCID" in told:
            yield told["SLURM_PROCID"], told.get("SLURM_NTASKS", 1)
    if "RANK" in told:
        yield told["RANK"], told.get("WORLD_SIZE", 1)

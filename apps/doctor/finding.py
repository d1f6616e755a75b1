"""One line of what the doctor says."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One line of what the doctor says.

    Attributes:
        fails: would a run fail because of it?
        warns: will it be slower than it could be, or other than one expects?
    """

    about: str
    says: str
    fails: bool = False
    warns: bool = False

    def __str__(self) -> str:
        mark = "FAILS" if self.fails else "note" if self.warns else "ok"
        return f"{mark:>5}  {self.about}: {self.says}"

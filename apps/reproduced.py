"""`python -m apps.reproduced`: did `dvc repro` leave dvc.lock and metrics/ as they are committed?

It fails where they differ although metrics/provenance.json names this very processor and these
versions. On another machine floats may round differently: then it shows what differs.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from apps.printing import print_utf8
from apps.review.differences import METRICS, PROVENANCE, read_json
from apps.review.git import commit_of, git
from apps.review.markdown import code, markdown
from apps.review.sections import review
from apps.review.stages import LOCK
from apps.review.trees import WORKSPACE, Commit, Folder
from pipeline.errors import UserError
from pipeline.provenance import provenance

FIXED = ("architecture", "processor", "system")  # params.yaml sets instructions and threads


def main() -> int:
    """Print Markdown; returns the exit status."""
    try:
        changed = changed_files()
        if not changed:
            print("Reproduced: every committed byte.")
            return 0
        committed = Commit("HEAD", commit_of("HEAD") or "")
        same = _machine(read_json(committed, PROVENANCE)) == _machine(provenance())
        page = review(committed, Folder(WORKSPACE, Path()))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if same:
        print(f"**Not reproduced**, although {code(PROVENANCE)} names this machine and versions:\n")
    else:
        print(f"Other bytes; {code(PROVENANCE)} names another machine or other versions:\n")
    print("\n".join(f"- {code(path)}" for path in changed), "\n")
    print(markdown(page), end="")
    return 1 if same else 0


def changed_files() -> list[str]:
    """The files of dvc.lock and metrics/ that are not those of the last commit."""
    status = git(
        "status", "--porcelain", "-z", "--no-renames", "--untracked-files=all", "--",
        LOCK, METRICS, f":!{PROVENANCE}",
    )  # fmt: skip
    if status is None:
        raise UserError("git status failed: is this a repository?")
    return [entry[3:].decode("utf-8", "backslashreplace") for entry in status.split(b"\0") if entry]


def _machine(facts: Any) -> Mapping[str, Any]:
    """What decides how floats round; a patch release of Python does not."""
    if not isinstance(facts, dict):
        return {}
    python = str(facts.get("python")).rpartition(".")[0]
    return {
        "machine": {name: facts.get("machine", {}).get(name) for name in FIXED},
        "python": python,
        "versions": facts.get("versions"),
    }


if __name__ == "__main__":
    print_utf8()
    sys.exit(main())

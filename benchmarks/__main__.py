"""`python -m benchmarks`: all of them, one after another; the tables go to docs/benchmarks.md.

Each runs in a process of its own, with the environment that the launcher gives the stages.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from pipeline.files import write_text
from stages.__main__ import MACHINE, PINNED

PAGE = Path("docs/benchmarks.md")
NATIVE = " native"  # without the pin to AVX2, which leaves out the instructions that bf16 is for
NAMES = (
    "sampling", "sampling native", "training_rate", "side_by_side", "prior_training",
    "prior_training native", "vqvae_training", "vqvae_training native", "code_store", "download",
    "blip_full_size",
)  # fmt: skip


def section(run: str, result: dict[str, Any]) -> str:
    """One benchmark's table as Markdown, under its title and its machine."""
    name = run.removesuffix(NATIVE)
    first = (Path(__file__).parent / f"{name}.py").read_text(encoding="utf-8").splitlines()[0]
    rows = result["results"]
    columns = list(dict.fromkeys(key for row in rows for key in row))
    page = io.StringIO()
    wide = " (`instruction_set: native`)" if run != name else ""
    page.write(f"## {first.strip(chr(34) + '.')}{wide}\n\n`python -m benchmarks.{name}` on ")
    page.write(", ".join(f"{key} {value}" for key, value in result["machine"].items()) + "\n\n")
    page.write("| " + " | ".join(columns) + " |\n|" + " --- |" * len(columns) + "\n")
    for row in rows:
        cells = (row.get(column, "") for column in columns)
        shown = (f"{cell:.4g}" if isinstance(cell, float) else str(cell) for cell in cells)
        page.write("| " + " | ".join(shown) + " |\n")
    return page.getvalue() + "\n"


def main(names: list[str]) -> int:
    """Run the named ones, or all; a section of one that was not run stays as it was."""
    kept = Path("docs/benchmarks.json")
    results = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    for name in names or NAMES:
        print(f"== {name}", flush=True)
        module = f"benchmarks.{name.removesuffix(NATIVE)}"
        pinned = {} if name.endswith(NATIVE) else PINNED
        environment = {**MACHINE, **pinned, "OMP_NUM_THREADS": "2", **os.environ}
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "result.json"
            command = [sys.executable, "-m", module, "--json", str(path)]
            if status := subprocess.run(command, env=environment).returncode:
                return status
            results[name] = json.loads(path.read_text(encoding="utf-8"))
        page = "# Benchmarks\n\nEvery ratio is of things timed side by side in one run.\n\n"
        page += "".join(section(name, results[name]) for name in NAMES if name in results)
        write_text(PAGE, page.rstrip() + "\n")
        write_text(kept, json.dumps(results, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""What each stage costs at many pictures: seconds a picture, and memory.

    python -m benchmarks.scale [--pictures 20000] [--until resize_images] [--processes 2 1]
        [--folder FOLDER]

In a clone of what is committed every stage runs on textures (`benchmarks/textures.py`), each
training for a few steps on a small network: what is measured is what grows with the pictures. A
stage that can runs on two processes first, then on one, whose outs the next stage reads (of
`download` the second is a helper); a map whose bytes differ ends the benchmark. While it runs, its
processes' memory is looked at, several times a second: what is anonymous (RssAnon; pages of mapped
files are the system's to drop) and the most that was ever resident (VmHWM), both of the largest
process. In a folder that was named the clone stays, and who starts again goes on in it: remove it
to measure other code.

The figures are kept in docs/scale.json, one for each stage, number of pictures and of processes,
and written to the table in docs/scale.md.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
from ruamel.yaml import YAML

from benchmarks.measure import processor
from benchmarks.pages import put_table
from benchmarks.textures import write_shards
from pipeline.errors import UserError
from pipeline.files import remove, write_json
from pipeline.params import read_yaml
from stages.__main__ import MAPS, TRAININGS

KEPT, PAGE = Path("docs/scale.json"), Path("docs/scale.md")
COLUMNS = {
    "stage": "stage", "pictures": "pictures", "processes": "processes", "seconds": "seconds",
    "of a core": "busy", "of a core, ms a picture": "each", "anonymous MiB": "anonymous",
    "VmHWM MiB": "resident",
}  # fmt: skip
SECONDS_BETWEEN_LOOKS = 0.2

SHORT = {
    "steps": 20, "batch_size": 16, "validate_every": 20, "checkpoint_every": 20, "warmup_steps": 5,
}  # fmt: skip
SETTINGS: dict[str, Any] = {
    "threads": 1,
    "data": {"source": "webdataset"},
    "blip": {
        **SHORT, "image_size": 32, "hidden_size": 32, "heads": 2, "text_layers": 1,
        "projection_dim": 16, "stem_channel": 8,
    },
    "vqvae": {**SHORT, "channel": 16, "n_res_block": 1, "res_channel": 16, "n_embed": 64},
    "decoder": {**SHORT, "channels": [8, 16], "guide": {"channels": [8], "steps": 20}},
    "pixelsnail": {**SHORT, "channel": 16, "n_block": 1, "n_res_block": 1, "res_channel": 16},
    "generate": {"judged_prompts": 64, "candidates": 2, "decoder_steps": 1},
    "evaluate": {"mixture_pictures": 2},
}  # fmt: skip


class Watch:
    """The memory of the processes below this one, looked at while the body runs.

    Attributes:
        anonymous, resident: MiB of the largest process, at most.
    """

    anonymous = resident = 0.0

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Look until the body ends."""
        ended = threading.Event()
        thread = threading.Thread(target=self._look_until, args=(ended,))
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _look_until(self, ended: threading.Event) -> None:
        while not ended.wait(SECONDS_BETWEEN_LOOKS):
            for process in psutil.Process().children(recursive=True):
                with contextlib.suppress(OSError):  # it has ended
                    status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
                    self.anonymous = max(self.anonymous, _mebibytes(status, "RssAnon"))
                    self.resident = max(self.resident, _mebibytes(status, "VmHWM"))


def _mebibytes(status: str, key: str) -> float:
    found = [line for line in status.splitlines() if line.startswith(f"{key}:")]
    return int(found[0].split()[1]) / 1024 if found else 0.0


def _seconds_busy() -> float:
    """Of a core, so far, by the processes below this one that have ended."""
    used = os.times()
    return used.children_user + used.children_system


class Clone:
    """A clone of the repository with settings of its own, in which stages run one by one."""

    def __init__(self, folder: Path, shards: Sequence[Path]) -> None:
        self.folder = folder
        if not folder.exists():
            self._make(shards)
        self.stages = read_yaml(folder / "dvc.yaml")["stages"]

    def _make(self, shards: Sequence[Path]) -> None:
        folder = self.folder.with_name(f"{self.folder.name}.tmp")
        remove(folder)
        subprocess.run(["git", "clone", "-q", ".", str(folder)], check=True)
        source = folder / "shards"
        source.mkdir()
        for shard in shards:
            (source / shard.name).symlink_to(shard.resolve())
        path = folder / "params.yaml"
        yaml = YAML()
        params = yaml.load(path)
        merge(params, SETTINGS)
        params["data"]["webdataset"]["train"] = source.name
        yaml.dump(params, path)
        folder.rename(self.folder)

    def run(self, stage: str, *, processes: int) -> dict[str, Any]:
        """Run a stage whose outs are not there.

        Raises:
            UserError: it failed.
        """
        for out in self._outs(stage):
            shutil.rmtree(out) if out.is_dir() else out.unlink(missing_ok=True)
        watch, start, busy = Watch(), time.perf_counter(), _seconds_busy()
        command = [sys.executable, "-m", "stages", stage]
        environment = {**os.environ, "CODEBRUSH_PROCESSES": str(processes)}
        with watch.watching():
            helpers = [
                subprocess.Popen(
                    command,
                    cwd=self.folder,
                    env={**environment, "CODEBRUSH_HELPER": "1"},
                    stderr=subprocess.DEVNULL,
                )
                for _ in range(processes - 1 if stage == "download" else 0)
            ]
            done = subprocess.run(
                command, cwd=self.folder, env=environment, capture_output=True, text=True
            )
            failed = [helper for helper in helpers if helper.wait()]
        if failed:
            raise UserError(f"{stage}: a helper failed")
        if done.returncode:
            raise UserError(f"{stage}: {done.stderr[-2000:]}")
        return {
            "stage": stage,
            "processes": processes,
            "seconds": round(time.perf_counter() - start, 1),
            "busy": round(_seconds_busy() - busy, 1),
            "anonymous": round(watch.anonymous),
            "resident": round(watch.resident),
        }

    def measured(self, stage: str, processes: int) -> Path:
        """The mark that a stage was measured here."""
        return self.folder / ".scratch" / "measured" / f"{stage}-{processes}"

    def digest(self, stage: str) -> str:
        """Of every byte of a stage's outs."""
        digest = hashlib.blake2b()
        for out in self._outs(stage):
            for file in (
                [out] if out.is_file() else sorted(p for p in out.rglob("*") if p.is_file())
            ):
                digest.update(f"{file.relative_to(self.folder)}\0".encode())
                digest.update(file.read_bytes())
        return digest.hexdigest()

    def _outs(self, stage: str) -> list[Path]:
        kinds = [self.stages[stage].get(kind, []) for kind in ("outs", "metrics", "plots")]
        outs = [out if isinstance(out, str) else next(iter(out)) for kind in kinds for out in kind]
        return [self.folder / out for out in outs]


def merge(old: dict[str, Any], new: Mapping[str, Any]) -> None:
    """Set params, each of which exists."""
    for key, value in new.items():
        if isinstance(value, dict):
            merge(old[key], value)
        else:
            old[key] = value


def measured(
    clone: Clone, stage: str, *, pictures: int, processes: Sequence[int]
) -> Iterator[dict[str, Any]]:
    """Yield a row for each number of processes that a stage runs on."""
    digests = set()
    for number in processes if stage in (*MAPS, *TRAININGS) else (1,):
        mark = clone.measured(stage, number)
        if mark.exists():
            continue
        row = clone.run(stage, processes=number) | {"pictures": pictures}
        yield row | {"each": round(1e3 * row["busy"] / pictures, 3)}
        digests.add(clone.digest(stage))
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()
    if stage in MAPS and len(digests) > 1:
        raise UserError(f"{stage}: two processes made other bytes than one")


def keep(row: dict[str, Any]) -> None:
    """Put a row among those that are kept, and write the table anew."""
    kept = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else {"results": []}
    identity = ("stage", "pictures", "processes")
    others = [r for r in kept["results"] if any(r[key] != row[key] for key in identity)]
    order = list(read_yaml(Path("dvc.yaml"))["stages"])
    rows = sorted(
        [*others, row], key=lambda r: (order.index(r["stage"]), r["pictures"], r["processes"])
    )
    write_json(KEPT, {"machine": processor(), "results": rows})
    put_table(PAGE, "benchmarks.scale", table(rows))


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as Markdown."""
    lines = [list(COLUMNS), ["---"] * len(COLUMNS)]
    for row in rows:
        lines.append([_cell(row.get(key, "")) for key in COLUMNS.values()])
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _cell(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def main() -> None:
    """Measure the stages, one after another."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pictures", type=int, default=20_000)
    parser.add_argument("--until", help="the last stage; by default all")
    parser.add_argument(
        "--processes", type=int, nargs="+", default=[2, 1], help="one after another"
    )
    parser.add_argument(
        "--folder", type=Path, help="for shards and clone; by default a temporary one"
    )
    given = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = given.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        shards = write_shards(folder / "textures", given.pictures)
        clone = Clone(folder / f"codebrush-{given.pictures}", shards)
        for stage in clone.stages:
            for row in measured(clone, stage, pictures=given.pictures, processes=given.processes):
                print(row, flush=True)
                keep(row)
            if stage == given.until:
                break


if __name__ == "__main__":
    main()

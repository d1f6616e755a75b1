"""Kill it, starve it, flip its bits: does the tiny pipeline still end in the very same bytes?

    python tests/chaos.py --seconds 240

Each stage's process is killed at random moments, between writing a file and its renaming and just
after; finds its disk full or read-only (where this user may mount one), or its memory short; finds
its inputs and its checkpoints damaged. A fault must end in one line, or in the right bytes; what
runs next must end in the bytes of the undisturbed run. The exit status is 1 if any differed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tiny import make_project, run, yaml

from stages.__main__ import MACHINE, PINNED, PREPARED

DISK = 512  # MiB of the mounted one
SCARCE_MEMORY = 64  # MiB beyond what the imports took
PATIENCE = 120.0  # seconds for one attempt
THREADS = 2  # of params.yaml


@dataclass(frozen=True)
class Attempt:
    """How a stage's process ended."""

    status: int  # negative: the signal that killed it
    said: str
    seconds: float

    @property
    def in_one_line(self) -> bool:
        errors = [line for line in self.said.splitlines() if line.startswith("error: ")]
        return self.status == 1 and len(errors) == 1 and "Traceback" not in self.said


class Sandbox:
    """A tiny project in which everything was made once, and what that was."""

    def __init__(self, folder: Path, *, seed: int) -> None:
        self.folder, self.draw = folder, random.Random(seed)
        self.stages = yaml.load(folder / "dvc.yaml")["stages"]
        self.hashes = {stage: self.made(stage) for stage in self.stages}
        # Children of a server that has imported everything start in no time, and are still
        # processes of their own, which is all that a signal cares about.
        os.environ |= {**MACHINE, **PINNED, PREPARED: "1", "OMP_NUM_THREADS": str(THREADS)}
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload([f"stages.{stage}" for stage in self.stages])
        self.calm = {stage: self.attempt(stage).seconds for stage in self.stages}

    def outs(self, stage: str) -> list[Path]:
        entry = self.stages[stage]
        listed = [*entry.get("outs", []), *entry.get("metrics", []), *entry.get("plots", [])]
        names = [next(iter(out)) if isinstance(out, dict) else out for out in listed]
        return [self.folder / name for name in names]

    def remove_outs(self, stage: str) -> None:
        for out in self.outs(stage):
            if out.is_dir():
                shutil.rmtree(out)
            elif out.exists():  # unlinking nothing is an error on a read-only disk
                out.unlink()

    def made(self, stage: str) -> dict[str, str]:
        """The hash of each file that the stage makes."""
        files = [f for out in self.outs(stage) for f in ([out] if out.is_file() else _files(out))]
        return {str(f.relative_to(self.folder)): _hash(f) for f in files}

    def attempt(
        self,
        stage: str,
        *,
        fault: Callable[[], None] | None = None,
        kill_after: float | None = None,
    ) -> Attempt:
        """Run a stage as DVC does, its outs removed before; perhaps kill it after some seconds."""
        self.remove_outs(stage)
        said = Path(tempfile.gettempdir()) / f"chaos-{os.getpid()}.txt"
        arguments = (str(self.folder), stage, fault, str(said))
        process = self.context.Process(target=_run_stage, args=arguments)
        began = time.monotonic()
        process.start()
        process.join(PATIENCE if kill_after is None else kill_after)
        if process.is_alive():
            process.kill()
            process.join()
        text = said.read_text(errors="replace") if said.exists() else ""
        said.unlink(missing_ok=True)
        assert process.exitcode is not None
        return Attempt(process.exitcode, text, time.monotonic() - began)


def _run_stage(folder: str, stage: str, fault: Callable[[], None] | None, said: str) -> None:
    with open(said, "w") as stream:  # noqa: PTH123
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    os.chdir(folder)
    import torch

    from stages.__main__ import main, threads_of

    torch.set_num_threads(threads_of(stage, THREADS))
    if fault is not None:
        fault()
    sys.exit(main([stage]))


@dataclass(frozen=True)
class KilledWhileWriting:
    """SIGKILL at the n-th call of a function of pipeline.files: before or after the renaming."""

    function: str
    call: int

    def __call__(self) -> None:
        from pipeline import files

        original, calls = getattr(files, self.function), [0]

        def dying(path: Path) -> None:
            calls[0] += 1
            if calls[0] == self.call:
                os.kill(os.getpid(), signal.SIGKILL)
            original(path)

        setattr(files, self.function, dying)


def short_of_memory() -> None:
    """Leave the process a little more memory than it has."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + SCARCE_MEMORY * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


class Chaos:
    """One fault after another, and what came of them."""

    def __init__(self, sandbox: Sandbox, *, mounted: bool) -> None:
        self.sandbox, self.draw = sandbox, sandbox.draw
        self.tried: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.faults = {
            "killed at a random moment": self.kill,
            "killed while writing": self.kill_writing,
            "a damaged input": self.damage_input,
            "a damaged checkpoint": self.damage_checkpoint,
            "no memory": self.starve,
        }
        if mounted:
            self.faults |= {"a full disk": self.fill, "a read-only disk": self.forbid}

    def one(self) -> None:
        """A random fault in a random stage, then the stage undisturbed."""
        stage = self.draw.choice(list(self.sandbox.stages))
        # Kills are what happens to people, so they are most of what happens here.
        names = [*self.faults, *2 * list(self.faults)[:2]]
        name = self.draw.choice(names)
        self.faults[name](name, stage)
        self.judge(name, stage, self.sandbox.attempt(stage))

    def judge(self, fault: str, stage: str, after: Attempt) -> None:
        made, wanted = self.sandbox.made(stage), self.sandbox.hashes[stage]
        left = [p for p in _files(self.sandbox.folder) if p.name.endswith((".tmp", ".draft"))]
        if stage == "train_decoder":  # beside which the prior's checkpoints are left as they may be
            left = [p for p in left if "train_pixelsnail" not in p.parts]
        if after.status != 0:
            self.wrong.append(f"{stage} after {fault}: exit {after.status}: {after.said[-300:]}")
        elif made != wanted:
            files = sorted(f for f in made | wanted if made.get(f) != wanted.get(f))
            self.wrong.append(f"{stage} after {fault}: other bytes: {', '.join(files)}")
        elif left:
            self.wrong.append(f"{stage} after {fault}: left behind: {left[0]}")

    def kill(self, name: str, stage: str) -> None:
        for _ in range(self.draw.randint(1, 3)):
            self.tried[name] += 1
            moment = self.draw.uniform(0.0, 1.05) * self.sandbox.calm[stage]
            self.sandbox.attempt(stage, kill_after=moment)

    def kill_writing(self, name: str, stage: str) -> None:
        for _ in range(self.draw.randint(1, 3)):
            self.tried[name] += 1
            function = self.draw.choice(["sync", "sync_folder"])
            call = self.draw.randint(1, 6)
            self.sandbox.attempt(stage, fault=KilledWhileWriting(function, call))

    def damage_input(self, name: str, stage: str) -> None:
        listed = [d.replace("${prior}", "pixelsnail") for d in self.sandbox.stages[stage]["deps"]]
        deps = [self.sandbox.folder / dep for dep in listed]
        data = [f for d in deps if d.suffix != ".py" for f in ([d] if d.is_file() else _files(d))]
        if not data:
            return
        self.tried[name] += 1
        file = self.draw.choice(data)
        whole = file.read_bytes()
        file.write_bytes(self._damaged(whole))
        done = self.sandbox.attempt(stage)
        file.write_bytes(whole)
        # A manifest whose sums are damaged accuses the files that it speaks of.
        named = file.parent.name if file.name == "manifest.json" else file.name
        told = done.in_one_line and named in done.said
        if not told and self.sandbox.made(stage) != self.sandbox.hashes[stage]:
            self.wrong.append(
                f"{stage} with a damaged {file}: exit {done.status}: {done.said[-300:]}"
            )

    def damage_checkpoint(self, name: str, stage: str) -> None:
        if stage not in ("finetune_blip", "train_vqvae", "train_decoder", "train_pixelsnail"):
            return
        self.tried[name] += 1
        self.sandbox.attempt(stage, fault=KilledWhileWriting("sync", self.draw.randint(2, 6)))
        scratch = self.sandbox.folder / ".scratch" / stage
        newest = sorted(scratch.rglob("*-*.safetensors"))[-1:]
        for file in newest:
            file.write_bytes(self._damaged(file.read_bytes()))

    def starve(self, name: str, stage: str) -> None:
        self._short(name, stage, self.sandbox.attempt(stage, fault=short_of_memory))

    def fill(self, name: str, stage: str) -> None:
        folder = self.sandbox.folder
        free = shutil.disk_usage(folder).free
        hoard = folder.parent / "hoard"
        with hoard.open("wb") as stream:
            os.posix_fallocate(stream.fileno(), 0, free - self.draw.randint(0, 400) * 1024)
        try:
            done = self.sandbox.attempt(stage)
        finally:
            hoard.unlink()
        self._short(name, stage, done)

    def forbid(self, name: str, stage: str) -> None:
        self.sandbox.remove_outs(stage)  # while it can be done
        subprocess.run(["mount", "-o", "remount,ro", self.sandbox.folder.parent], check=True)
        try:
            done = self.sandbox.attempt(stage)
        finally:
            subprocess.run(["mount", "-o", "remount,rw", self.sandbox.folder.parent], check=True)
        self._short(name, stage, done)

    def _short(self, name: str, stage: str, done: Attempt) -> None:
        self.tried[name] += 1
        if done.status != 0 and not done.in_one_line:
            self.wrong.append(f"{stage} with {name}: exit {done.status}: {done.said[-600:]}")

    def _damaged(self, data: bytes) -> bytes:
        if self.draw.random() < 0.3:
            return data[: self.draw.randrange(len(data))]
        at = self.draw.randrange(8 * len(data))
        flipped = data[at // 8] ^ (1 << at % 8)
        return data[: at // 8] + bytes([flipped]) + data[at // 8 + 1 :]


def _files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file() and ".dvc" not in p.parts)


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _mount(folder: Path) -> bool:
    """Put a small disk of its own under `folder`, if this user may."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK}m", "chaos", str(folder)]
    try:
        return subprocess.run(command, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


def main() -> int:
    """Run until the time is up, then print what was tried and what differed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=240.0, help="how long, set-up included")
    parser.add_argument("--seed", type=int, default=0, help="of the faults")
    given = parser.parse_args()
    until = time.monotonic() + given.seconds
    with tempfile.TemporaryDirectory() as folder:
        mounted = _mount(Path(folder))
        try:
            project = Path(folder) / "codebrush"
            make_project(project, threads=THREADS)
            run(project, "dvc", "repro")
            sandbox = Sandbox(project, seed=given.seed)
            chaos = Chaos(sandbox, mounted=mounted)
            for stage in sandbox.stages:
                chaos.judge("nothing", stage, sandbox.attempt(stage))
            while time.monotonic() < until and not chaos.wrong:
                chaos.one()
            status = run(project, "dvc", "status").stdout.strip()
            if "up to date" not in status:
                chaos.wrong.append(f"dvc status: {status}")
        finally:
            if mounted:
                subprocess.run(["umount", "--lazy", folder], check=True)
    print(json.dumps({"tried": dict(chaos.tried), "wrong": len(chaos.wrong)}, indent=2))
    if not mounted:
        print("a full and a read-only disk were not tried: this user may not mount one")
    for line in chaos.wrong:
        print(line, file=sys.stderr)
    return 1 if chaos.wrong else 0


if __name__ == "__main__":
    sys.exit(main())

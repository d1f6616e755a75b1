"""Download by several processes: those that come early, late, or are killed; the bytes of one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from filelock import FileLock
from test_machines import SMALL, end, forget, kill, outs, start
from tiny import make_project

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kills what launchers started")

HELPER = {"CODEBRUSH_HELPER": "1"}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose pictures were downloaded by one process."""
    folder = tmp_path_factory.mktemp("together") / "project"
    make_project(folder)
    end(start(folder, *SMALL, "download"))
    return folder


def line(process: subprocess.Popen[str], what: str) -> None:
    """Wait until a process says this on stderr."""
    assert process.stderr is not None
    assert any(what in said for said in process.stderr)


@contextmanager
def keeper_before_its_list(
    project: Path, shared: dict[str, str]
) -> Iterator[subprocess.Popen[str]]:
    """Who keeps a download anew, and lists no pictures before the body ends."""
    forget(project, "download")
    downloads = Path(shared["CODEBRUSH_SCRATCH"]) / "downloads"
    downloads.mkdir()
    with FileLock(downloads / "lock"):
        keeper = start(project, *SMALL, "download", **shared)
        line(keeper, "another process is downloading")
        yield keeper


def test_helpers_that_come_early_wait_for_the_list_and_one_that_comes_late_does_nothing(
    project: Path, tmp_path: Path
) -> None:
    made, shared = outs(project, "download"), {"CODEBRUSH_SCRATCH": str(tmp_path)}
    with keeper_before_its_list(project, shared) as keeper:
        helpers = [start(project, *SMALL, "download", **HELPER, **shared) for _ in range(2)]
        for helper in helpers:
            line(helper, "download: waiting for the list")
    end(keeper, *helpers)
    assert outs(project, "download") == made
    late = start(project, *SMALL, "download", **HELPER, **shared)
    _, error = late.communicate(timeout=60)
    assert (late.returncode, error) == (
        0,
        "download: made already; remove its outs to make them again\n",
    )
    assert outs(project, "download") == made
    (project / "annotations" / "new.txt").write_text("what the user changed", encoding="utf-8")
    anew = start(project, *SMALL, "download", **HELPER, **shared)
    _, error = anew.communicate(timeout=200)
    assert anew.returncode == 0
    assert "made already" not in error
    assert outs(project, "download") == made


def test_who_keeps_it_is_killed_and_the_next_goes_on_from_the_shares_that_it_and_a_helper_made(
    project: Path, tmp_path: Path
) -> None:
    made, shared = outs(project, "download"), {"CODEBRUSH_SCRATCH": str(tmp_path)}
    forget(project, "download")
    keeper = start(project, *SMALL, "download", "--stuck", **shared)
    assert keeper.stdout is not None
    assert keeper.stdout.readline() == "stuck\n"
    end(start(project, *SMALL, "download", **HELPER, **shared))
    kill(keeper)
    shares = list(tmp_path.glob("download/*/looks/" + 16 * "[0-9a-f]"))
    listed = list(tmp_path.glob("download/*/files/0*"))
    assert len(shares) == len(listed) - 1 >= 20
    # It would get stuck at the second share that it makes: there is but one left.
    end(start(project, *SMALL, "download", "--stuck", **shared))
    assert outs(project, "download") == made


def test_a_helper_goes_on_alone_when_who_keeps_it_is_killed(project: Path, tmp_path: Path) -> None:
    made, shared = outs(project, "download"), {"CODEBRUSH_SCRATCH": str(tmp_path)}
    with keeper_before_its_list(project, shared) as keeper:
        helper = start(project, *SMALL, "download", **HELPER, **shared)
        line(helper, "download: waiting for the list")
        kill(keeper)
    end(helper)
    assert outs(project, "download") == made

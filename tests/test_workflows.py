"""The workflows: pinned, least rights, time limits; and what posts a comment, run as it stands."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from reviewed import gitlab_script, shell, step, workflow
from tiny import ROOT

FILES = sorted(path.name for path in (ROOT / ".github" / "workflows").glob("*.yml"))
POST = "Post it, if it belongs to the head of its pull request"
each_file = pytest.mark.parametrize("file", FILES)
HEAD = "a" * 40


def jobs(file: str) -> dict[str, Any]:
    return dict(workflow(file)["jobs"])


def steps(file: str) -> list[dict[str, Any]]:
    return [step for job in jobs(file).values() for step in job["steps"]]


def test_the_workflows_are_the_four_of_the_page_on_review() -> None:
    assert FILES == ["ci.yml", "comment.yml", "reproduce.yml", "review.yml"]


@each_file
def test_actions_are_pinned_by_commit_and_say_which_version(file: str) -> None:
    text = (ROOT / ".github" / "workflows" / file).read_text(encoding="utf-8")
    for line in re.findall(r"uses:.*", text):
        assert re.fullmatch(r"uses: [\w-]+/[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line), line


@each_file
def test_each_job_has_its_rights_and_a_time_limit(file: str) -> None:
    assert workflow(file)["permissions"] == {}
    for job in jobs(file).values():
        assert job["permissions"]
        assert 0 < job["timeout-minutes"] <= 90
        writes = {name for name, right in job["permissions"].items() if right != "read"}
        assert writes == ({"pull-requests"} if file == "comment.yml" else set())


@each_file
def test_no_value_is_pasted_into_a_shell(file: str) -> None:
    for found in steps(file):
        assert "${{" not in found.get("run", ""), found
        if found.get("uses", "").startswith("actions/checkout"):
            assert found["with"]["persist-credentials"] is False


@each_file
def test_nothing_of_a_pull_request_runs_where_the_token_can_write(file: str) -> None:
    # YAML 1.2 reads `on` as a word; DVC's parser does, too.
    triggers = set(workflow(file)["on"])
    assert "pull_request_target" not in triggers
    assert ("workflow_run" in triggers) == (file == "comment.yml")
    if file == "comment.yml":
        assert not [found for found in steps(file) if "uses" in found]
        assert not re.search(r"python|pip|source|\beval\b", json.dumps(steps(file)))


def test_what_the_review_installs_is_what_it_imports() -> None:
    script = "import sys, apps.compare, apps.gate; print(*{m.split('.')[0] for m in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    names = set(re.findall(r"^[\w.]+$", (ROOT / ".ci" / "review.txt").read_text(), flags=re.M))
    assert names == {"dvc", "numpy", "ruamel.yaml", "scipy"}
    constrained = (ROOT / "constraints.txt").read_text().lower()
    assert all(f"\n{name}==" in constrained for name in names)
    heavy = {"torch", "pandas", "pydantic", "PIL", "matplotlib", "sklearn", "transformers"}
    assert not heavy & set(done.stdout.split())


def test_gitlab_runs_the_same_two_commands() -> None:
    script = gitlab_script()
    assert [line.split()[2] for line in script] == ["pip", "apps.compare", "apps.gate"]
    ours = step("review.yml", "Compare with the merge base")
    options = set(re.findall(r"--[a-z-]+", script[1]))
    assert options == set(re.findall(r"--[a-z-]+", ours))


def test_the_reproduced_cache_has_a_key_of_the_lock_with_fallbacks() -> None:
    (restore,) = [s for s in steps("reproduce.yml") if "cache/restore" in s.get("uses", "")]
    assert "hashFiles('dvc.lock')" in restore["with"]["key"]
    assert restore["with"]["key"].startswith(restore["with"]["restore-keys"])
    assert restore["with"]["restore-keys"].endswith("-")


@pytest.mark.skipif(sys.platform == "win32", reason="scripts are not run by their first line")
def test_ci_runs_the_readmes_two_commands() -> None:
    runs = [found["run"] for found in steps("ci.yml") if "block" in found.get("run", "")]
    assert runs == [f'bash -euo pipefail -c "$(.ci/block {n})"' for n in (1, 2)]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for number, block in enumerate(re.findall(r"^```sh\n(.*?)^```$", readme, flags=re.M | re.S), 1):
        done = subprocess.run([ROOT / ".ci" / "block", str(number)], capture_output=True, text=True)
        assert done.stdout == block


# -- the comment, posted through a `gh` that remembers what it was asked -------------------------

GH = """#!{python}
import json, os, sys
from pathlib import Path

arguments = sys.argv[1:]
comments = json.loads(os.environ["COMMENTS"])
place = next(a for a in arguments if a.startswith("repos/"))
if "--method" in arguments:
    body = next(a for a in arguments if a.startswith("body=@"))
    method = arguments[arguments.index("--method") + 1]
    posted = {{"method": method, "place": place, "body": Path(body[6:]).read_text("utf-8")}}
    Path(os.environ["POSTED"]).write_text(json.dumps(posted))
elif place.endswith("/comments"):
    print(*comments, sep="\\n")
else:
    print(os.environ["PULL_HEAD"])
"""


class Forge:
    """A runner's folder with a downloaded artifact, and what was posted."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.posted = folder, folder / "posted.json"
        (folder / "review").mkdir()
        (folder / "bin").mkdir()
        gh = folder / "bin" / "gh"
        gh.write_text(GH.format(python=sys.executable))
        gh.chmod(0o755)
        self.write("number", "7\n")
        self.write("report.md", "## A report\n")

    def write(self, name: str, text: str) -> None:
        (self.folder / "review" / name).write_text(text, encoding="utf-8")

    def post(
        self, *, head: str = HEAD, comments: tuple[int, ...] = ()
    ) -> subprocess.CompletedProcess[str]:
        return shell(
            step("comment.yml", POST), self.folder, path=self.folder / "bin",
            RUNNER_TEMP=str(self.folder), GITHUB_REPOSITORY="o/r", HEAD=HEAD, PULL_HEAD=head,
            COMMENTS=json.dumps(comments), POSTED=str(self.posted),
        )  # fmt: skip

    def told(self) -> dict[str, str]:
        return dict(json.loads(self.posted.read_text()))


@pytest.fixture
def forge(tmp_path: Path) -> Forge:
    return Forge(tmp_path)


def test_the_first_comment_is_posted_and_the_next_updates_it(forge: Forge) -> None:
    assert forge.post().returncode == 0
    first = forge.told()
    assert (first["method"], first["place"]) == ("POST", "repos/o/r/issues/7/comments")
    assert first["body"].startswith(f"<!-- codebrush review -->\n*Made at {HEAD}")
    assert first["body"].endswith("## A report\n")
    assert forge.post(comments=(31, 32)).returncode == 0
    assert forge.told()["method"] == "PATCH"
    assert forge.told()["place"] == "repos/o/r/issues/comments/31"


def test_a_report_of_another_head_is_not_posted(forge: Forge) -> None:
    done = forge.post(head="b" * 40)
    assert done.returncode == 1
    assert done.stdout == "::error::pull request 7 has another head by now, or always had\n"
    assert not forge.posted.exists()


@pytest.mark.parametrize("number", ["", "7; id", "../7", "-1", "0", "7\n8", "$(id)", "1" * 11])
def test_a_number_that_is_none_is_not_asked_for(forge: Forge, number: str) -> None:
    forge.write("number", number)
    assert forge.post().returncode == 1
    assert not forge.posted.exists()


def test_a_report_too_long_or_no_plain_file_is_refused(forge: Forge) -> None:
    forge.write("report.md", "x" * 65_001)
    assert forge.post().stdout == "::error::the report is too long for a comment\n"
    report = forge.folder / "review" / "report.md"
    report.unlink()
    assert forge.post().returncode == 1
    report.symlink_to(os.environ.get("HOME", "/") + "/.netrc")
    assert forge.post().returncode == 1
    assert not forge.posted.exists()


def test_a_report_mentions_nobody_and_commands_no_bot(forge: Forge) -> None:
    forge.write("report.md", "@org/all `$(touch pwned)`\n  /merge\n`recall@1`\r\n| a/b |\n")
    assert forge.post().returncode == 0
    body = forge.told()["body"].partition("code.*\n\n")[2]
    assert body == ("@\u2060org/all `$(touch pwned)`\n&#47;merge\n`recall@\u20601`\n| a/b |\n")
    assert not list(forge.folder.rglob("pwned"))

"""Every code block of the README is run by a test or by CI, and its links lead somewhere."""

from __future__ import annotations

import re
import subprocess

from tiny import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, flags=re.M | re.S)


def block(language: str) -> str:
    """The one block of a language."""
    found = [code for name, code in BLOCKS if name == language]
    assert len(found) == 1, language
    return found[0]


def test_every_block_is_run_by_someone() -> None:
    # .ci/run takes both `sh` blocks word for word; test_repro.py runs the others.
    assert [name for name, _ in BLOCKS] == ["sh", "sh", "bash", "python"]
    run = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert '"$(block 1)"' in run
    assert '"$(block 2)"' in run
    repro = (ROOT / "tests" / "test_repro.py").read_text(encoding="utf-8")
    assert 'block("bash")' in repro
    assert 'block("python")' in repro


def test_the_first_two_blocks_are_one_command_each() -> None:
    for code in (code for name, code in BLOCKS if name == "sh"):
        assert code.count("\n") == 1


def test_every_link_leads_to_a_file() -> None:
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]:
        links = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8"))
        for link in links:
            # A forge's own page of a workflow, relative to the repository that shows the README.
            elsewhere = link.startswith(("http", "../../actions/"))
            assert elsewhere or (page.parent / link).exists(), f"{page.name}: {link}"


def test_it_is_for_someone_who_has_five_minutes() -> None:
    assert len(README.split()) < 1300


def test_its_headline_is_the_first_sentence_of_the_committed_report() -> None:
    # Not of the one on disk: another processor, or an experiment, makes another.
    shown = subprocess.run(
        ["git", "show", "HEAD:metrics/report.md"], cwd=ROOT, capture_output=True, check=True
    )
    sentence = shown.stdout.decode().split("\n\n")[1].strip("*")
    assert sentence in README.replace("\n", " ")

"""Two runs in a real repository, compared by the steps of the workflow that reviews them."""

from __future__ import annotations

import json
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from reviewed import (
    clone,
    commit,
    compare,
    edit_figures,
    gitlab_script,
    head,
    make,
    run,
    shell,
    step,
)  # fmt: skip

from apps import reproduced
from apps.review import git, settings
from apps.review.freshness import stale_stages
from apps.review.html import html
from apps.review.markdown import LIMIT, markdown
from apps.review.page import Page, Table
from apps.review.sections import review
from apps.review.trees import base_of, find_tree
from pipeline.errors import UserError
from pipeline.provenance import provenance

GATE, COMPARE = "The lock and the metrics are those of this tree", "Compare with the merge base"
# What a name from a pull request may hold; a tab and a newline end a cell of the table of figures.
HOSTILE = "a|b`c``<img src=x onerror=alert(1)></details>$(touch pwned)[x](http://e.vil)@all#1\\"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository, with an experiment of another temperature that was pushed as a branch."""
    folder = make(tmp_path_factory.mktemp("review") / "project")
    run(folder, "dvc", "exp", "run", "-q", "--name", "hot", "-S", "generate.temperature=0.5")
    run(folder, "git", "checkout", "-q", ".")
    run(folder, "dvc", "exp", "branch", "hot", "warm")
    run(folder, "git", "push", "-q", "origin", "warm")
    return folder


@pytest.fixture
def project(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone of it on `main`, in which a test may do what it likes; without DVC's cache."""
    folder = clone(made.parent / "origin.git", tmp_path / "clone")
    monkeypatch.chdir(folder)
    return folder


def page(before: str, after: str) -> Page:
    return review(find_tree(before), find_tree(after))


def table(found: Page, title: str) -> dict[str, tuple[str, ...]]:
    """The rows of a table by their first cells."""
    (part,) = [p for p in found.parts if isinstance(p, Table) and p.title.startswith(title)]
    return {str(row[0]): tuple(map(str, row[1:])) for row in part.rows}


def test_equal_runs_have_nothing_to_show(project: Path) -> None:
    text = markdown(page("main", "HEAD"))
    assert "**No figure differs.** 0 params changed, 0 stages ran again." in text
    assert "|" not in text


def test_a_pushed_experiment_is_reviewed_by_the_workflows_own_steps(project: Path) -> None:
    run(project, "git", "checkout", "-q", "--detach", "origin/warm")
    (summary := project.parent / "summary").touch()
    environment = {
        "BASE": head(project, "origin/main"),
        "NUMBER": "7",
        "GITHUB_REPOSITORY": "o/r",
        "GITHUB_RUN_ID": "5",
        "GITHUB_STEP_SUMMARY": str(summary),
    }
    gate = shell(step("review.yml", GATE), project)
    assert (gate.returncode, gate.stdout) == (0, "dvc.lock and metrics/ are those of this tree.\n")
    done = shell(step("review.yml", COMPARE), project, **environment)
    assert done.returncode == 0, done.stderr
    text = (project / "review" / "report.md").read_text()
    assert summary.read_text() == text
    assert (project / "review" / "number").read_text() == "7\n"
    assert "| `generate.temperature` | `0.9` | `0.5` |" in text
    # beyond chance: open, with margin, floor, ceiling and direction; within it: folded away
    moved, _, folded = text.partition("<details>")
    row = "| 0.45 | 0.65 | +0.2 | 0.06085 | 0.02 | 0.95 | higher | ✔\u00a0better |"
    assert f"| `exact.unranked.all` {row}" in moved
    assert "`exact.unranked.count`" not in moved
    assert "| within chance |" in folded
    assert "`neutral.generated.kid`" in moved  # nobody knows its spread: not folded
    why = "| `generate.temperature` `0.9` → `0.5`"
    assert f"| `generate` {why} | 1 of 1 differ |" in text
    assert f"| `evaluate` {why}, `data/generated` | 3 of 4 differ |" in text
    assert "`train`" not in text
    for side in ("origin/main", "HEAD"):
        place = f"/o/r/blob/{head(project, side)}/metrics/pictures/generated.png?raw=true"
        assert f"(https://forge.example{place})" in text
    assert "[the whole page](https://forge.example/o/r/actions/runs/5)" in text
    assert "The same prompts, in the same order" in text
    whole = (project / "review" / "report.html").read_text()
    assert whole.count('src="data:image/png;base64,') == 2
    assert "http" not in whole.replace("http-equiv", "")
    gitlab = shell(
        "\n".join(gitlab_script()[1:]), project, CI_MERGE_REQUEST_DIFF_BASE_SHA=environment["BASE"],
        CI_PROJECT_URL="https://forge.example/o/r", CI_JOB_URL="https://forge.example/job",
    )  # fmt: skip
    assert gitlab.returncode == 0, gitlab.stderr
    assert (project / "review" / "report.md").read_text().splitlines()[:8] == text.splitlines()[:8]


def test_an_experiment_is_found_by_its_name_and_its_pictures_in_the_cache(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(made)
    found = page("main", "hot")
    assert table(found, "Params") == {"generate.temperature": ("0.9", "0.5")}
    # two grids, and two prompts' own pictures of both runs
    assert html(found).count('src="data:image/png;base64,') == 2 + 4
    assert "<code>Red bird</code>" in html(found)
    assert "<code>Red bird</code>" not in html(page("main", "main"))


def test_another_checkout_is_compared_by_its_folder(project: Path, made: Path) -> None:
    run(project, "git", "checkout", "-q", "origin/warm")
    found = page(str(made), "workspace")
    assert table(found, "Params") == {"generate.temperature": ("0.9", "0.5")}
    with pytest.raises(UserError, match="a folder has no merge base"):
        base_of("main", find_tree(str(made)))


def test_a_stale_lock_is_named_at_its_line_of_dvc_yaml(project: Path) -> None:
    params = project / "params.yaml"
    params.write_text(params.read_text().replace("0.9", "0.8"))
    commit(project)
    gate = shell(step("review.yml", GATE), project)
    assert gate.returncode == 1
    first, second = gate.stdout.splitlines()
    assert first.startswith(
        "::error file=dvc.yaml,line=7,title=generate is stale::params.yaml: generate modified; run"
    )
    assert second.startswith("::error file=dvc.yaml,line=12,title=evaluate is stale::")
    done = compare(project, "--merge-base", "origin/main", "HEAD")
    assert "⚠ **Stale**, so the metrics are not of this tree: `generate`, `evaluate`" in done.stdout


def test_a_metric_that_was_edited_or_removed_by_hand_is_stale(project: Path) -> None:
    edit_figures(project, {"exact.unranked.all": "0.99"})
    (project / "metrics" / "exact.json").unlink()
    gate = shell("python -m apps.gate", project)
    assert gate.returncode == 1
    assert gate.stdout.startswith("dvc.yaml:12: evaluate is stale: ")
    assert "metrics/figures.tsv modified, metrics/exact.json deleted" in gate.stdout


def test_a_frozen_stage_and_lost_metrics_do_not_pass_for_fresh(project: Path) -> None:
    path = project / "dvc.yaml"
    path.write_text(path.read_text().replace("[work.py]", "[work.py]\n    frozen: true", 1))
    shutil.rmtree(project / "metrics" / "pictures")
    frozen, lost = stale_stages(project)
    assert (frozen.stage, frozen.line) == ("train", 2)
    assert frozen.why == "frozen, so DVC does not look at what it reads"
    assert lost.stage == "evaluate"
    assert "metrics/pictures" in lost.why


def test_new_vanished_and_undefined_figures_are_never_folded_away(project: Path) -> None:
    changes = {
        "exact.unranked.all": "nan", "neutral.generated.kid": None, "exact.unranked.kind": "0.5",
        "blip.match.unranked": None, "exact.best_of_n.sort": "inf",
    }  # fmt: skip
    edit_figures(project, changes)
    commit(project)
    found = page("origin/main", "HEAD")
    loud = table(found, "Vanished, or not a number")
    assert {name: row[-1] for name, row in loud.items()} == {
        "exact.unranked.all": "⚠\u00a0not a number", "exact.best_of_n.sort": "⚠\u00a0not a number",
        "blip.match.unranked": "⚠\u00a0vanished", "neutral.generated.kid": "⚠\u00a0vanished",
    }  # fmt: skip
    assert loud["exact.unranked.all"][:2] == ("0.45", "nan")
    assert table(found, "Figures of which nobody knows")["exact.unranked.kind"][-1] == "new"
    # it is undefined in both runs, and told all the same
    assert "exact.unranked.all" in table(page("HEAD", "HEAD"), "Vanished, or not a number")


def test_a_branch_cannot_call_its_own_changes_chance(project: Path) -> None:
    spread = project / "docs" / "spread.json"
    spread.write_text(json.dumps({"runs": 3, "deviations": {"exact.unranked.all": 1e9}}))
    edit_figures(project, {"exact.unranked.all": "0.1"})
    commit(project)
    found = page("origin/main", "HEAD")
    assert table(found, "Figures that moved beyond")["exact.unranked.all"][-1] == "✘\u00a0worse"
    assert "⚠ `docs/spread.json` differs; that of the run before counts here." in markdown(found)


def test_a_table_with_two_rows_of_one_name_is_refused(project: Path) -> None:
    path = project / "metrics" / "figures.tsv"
    path.write_text(path.read_text() + "exact\tunranked.all\t0.99\t\t\t\thigher\n")
    with pytest.raises(UserError, match=r"two rows of 'exact\.unranked\.all'"):
        page("main", "workspace")


def test_no_name_hides_another_and_no_file_contradicts_the_table_in_silence(project: Path) -> None:
    metrics, params = project / "metrics" / "exact.json", project / "params.yaml"
    kept = metrics.read_text()
    twice = ('{"unranked": {"all": 0.45}, "unranked.all": 0.9}', '{"x": 1, "x": 2}')
    for text in (*twice, '{"x": 1' + "0" * 400 + "}"):
        metrics.write_text(text)
        with pytest.raises(UserError, match=r"metrics/exact\.json (has two values of|holds no)"):
            page("main", "workspace")
    metrics.write_text('{"unranked": {"all": 0.99, "count": 0.582}}')
    text = markdown(page("main", "workspace"))
    assert "its metrics/*.json disagree on `exact.unranked.all`; the table counts here." in text
    metrics.write_text(kept)
    params.write_text("a.b: 1\na: {b: 2}\n")
    with pytest.raises(UserError, match=r"two values of 'a\.b'"):
        page("main", "workspace")


def test_a_run_without_figures_is_compared_by_what_it_has(project: Path) -> None:
    run(project, "git", "rm", "-q", "metrics/figures.tsv", "docs/spread.json")
    commit(project)
    text = markdown(page("HEAD", "HEAD~1"))
    assert "⚠ `HEAD` has no `metrics/figures.tsv`." in text
    assert "How far runs of the same settings lie apart is not known" in text
    assert "| `prior.bits` | – | 2.5 | – | – | 4 | – | lower | new |" in text


def test_what_is_missing_is_told_with_what_to_fetch(project: Path) -> None:
    done = compare(project, "--merge-base", "f" * 40, "HEAD")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "no commit, branch, experiment or folder here" in done.stderr
    assert "git fetch origin" in done.stderr
    with pytest.raises(UserError, match="'--help'"):
        find_tree("--help")


def test_a_shallow_checkout_says_what_to_fetch_and_then_compares(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin = made.parent / "origin.git"
    shallow = clone(origin, tmp_path / "shallow", "--depth", "1", "--no-single-branch")
    monkeypatch.chdir(shallow)
    with pytest.raises(UserError, match=r"`git fetch --unshallow origin`"):
        git.merge_base("origin/main", "origin/warm")
    run(shallow, "git", "fetch", "-q", "--unshallow", "origin")
    assert git.merge_base("origin/main", "origin/warm") == head(made, "main")


def test_a_report_of_200_kB_is_cut_with_a_pointer_and_is_whole_in_html(project: Path) -> None:
    long = {f"exact.unranked.figure_{n:04}_{'x' * 40}": f"{n}" for n in range(1500)}
    edit_figures(project, long)
    more = {f"key_{n}": "é" * 500 for n in range(400)}
    (project / "params.yaml").write_text(json.dumps({"more": more}))
    found = page("main", "workspace")
    text = markdown(found, rest="https://forge.example/run")
    assert len(text.encode()) <= LIMIT < 65_536
    assert text.count("<details>") == text.count("</details>") > 0
    assert text.count(" more rows: [the whole page](https://forge.example/run).*") == 2
    assert text.endswith(
        "*Everything, with all pictures: [the whole page](https://forge.example/run).*\n"
    )
    whole = html(found)
    assert len(whole) > 200_000
    assert all(name in whole for name in long)


class Tags(HTMLParser):
    """Every tag, with the names of its attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found |= {tag, *(f"{tag}.{name}" for name, _ in attributes)}


def test_hostile_names_are_shown_and_do_nothing(project: Path) -> None:
    branch = "x;$(touch${IFS}pwned)`id`|<b>'&&\"@all"
    run(project, "git", "checkout", "-q", "-b", branch)
    edit_figures(project, {f"exact.{HOSTILE}": "0.5", f"blip.{HOSTILE}\u202e\x0b": "nan"})
    params = {HOSTILE: {f"{HOSTILE}\n| x | y |": f"{HOSTILE}\r\n\n<script>alert(1)</script>"}}
    (project / "params.yaml").write_text(json.dumps(params))
    name = HOSTILE.replace("/", "_")
    shutil.copy("metrics/pictures/generated.png", f"metrics/pictures/{name}.png")
    text = (project / "dvc.yaml").read_text().replace("  train:", f"  {json.dumps(name)}:")
    (project / "dvc.yaml").write_text(text)
    lock = project / "dvc.lock"
    lock.write_text(lock.read_text().replace("  train:", f"  {json.dumps(name)}:"))
    commit(project, HOSTILE)
    (project.parent / "summary").touch()
    environment = {
        "BASE": head(project, "origin/main"), "NUMBER": "7", "GITHUB_REPOSITORY": "o/r",
        "GITHUB_RUN_ID": "5", "GITHUB_STEP_SUMMARY": str(project.parent / "summary"),
    }  # fmt: skip
    gate = shell(step("review.yml", GATE), project)
    assert gate.returncode == 1
    assert all(line.startswith("::error file=dvc.yaml,line=") for line in gate.stdout.splitlines())
    assert shell(step("review.yml", COMPARE), project, **environment).returncode == 0
    assert not list(project.rglob("pwned"))

    found = page("origin/main", branch)
    text = markdown(found, pictures="https://forge.example/{commit}/{path}")
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(text)
    inline = [child for token in tokens for child in token.children or ()]
    assert {t.type for t in inline} <= {
        "text", "code_inline", "strong_open", "strong_close", "em_open", "em_close", "softbreak",
        "image",
    }  # fmt: skip
    images = [str(t.attrs["src"]) for t in inline if t.type == "image"]
    assert all(src.startswith("https://forge.example/") for src in images)
    html_blocks = {t.content.strip() for t in tokens if t.type == "html_block"}
    assert all(b.startswith("<details>\n<summary>") or b == "</details>" for b in html_blocks)
    for part in found.parts:  # every row is there, with as many cells as the head has
        if isinstance(part, Table) and part.rows:
            assert {len(row) for row in part.rows} == {len(part.heads)}
    rows = sum(len(p.rows) + 1 for p in found.parts if isinstance(p, Table) and p.rows)
    pictures = 2  # rows of the picture's own table
    assert len([t for t in tokens if t.type == "tr_open"]) == rows + pictures
    # a row that a name had broken would be filled up with empty cells
    assert all(tokens[n + 1].content for n, t in enumerate(tokens) if t.type == "td_open")

    tags = Tags()
    tags.feed(html(found))
    assert tags.found <= {
        "html", "html.lang", "head", "meta", "meta.charset", "meta.http-equiv", "meta.content",
        "meta.name", "title", "style", "body", "h1", "h2", "p", "code", "table", "thead", "tbody",
        "tr", "th", "td", "strong", "details", "summary", "img", "img.alt", "img.src",
    }  # fmt: skip


def test_yaml_that_unfolds_without_end_is_refused(project: Path) -> None:
    (project / "params.yaml").write_text("a: &a [1, 2]\nb: [*a, *a]\n")
    with pytest.raises(UserError, match="aliases are not read here"):
        settings.changed_params(find_tree("main"), find_tree("workspace"))
    (project / "params.yaml").write_text("[" * 3_000)
    with pytest.raises(UserError, match="not plain YAML"):
        settings.changed_params(find_tree("main"), find_tree("workspace"))


def test_other_bytes_fail_on_the_same_machine_alone(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    facts = provenance()
    (project / "metrics" / "provenance.json").write_text(json.dumps(facts))
    commit(project)
    assert reproduced.main() == 0
    edit_figures(project, {"exact.unranked.all": "0.123"})
    (project / "metrics" / "extra.json").write_text("{}")
    assert reproduced.main() == 1
    said = capsys.readouterr().out
    assert "**Not reproduced**" in said
    assert "- `metrics/extra.json`" in said
    assert "| `exact.unranked.all` | 0.45 | 0.123 |" in said
    run(project, "git", "checkout", "-q", ".")
    facts["machine"]["processor"] = "another"
    (project / "metrics" / "provenance.json").write_text(json.dumps(facts))
    run(project, "git", "commit", "-qam", "made elsewhere")
    edit_figures(project, {"exact.unranked.all": "0.123"})
    assert reproduced.main() == 0
    assert "Other bytes; `metrics/provenance.json` names another" in capsys.readouterr().out

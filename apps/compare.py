"""`python -m apps.compare [BEFORE [AFTER]]`: what moved between two runs, and what is mere chance.

BEFORE and AFTER are commits, branches, experiments or folders (other checkouts), or "workspace";
without them the last commit and the workspace. It prints Markdown: the params that changed, figures
beyond the spread of docs/spread.json first, pictures, the stages that ran again, and why.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from apps.printing import print_utf8
from apps.review.freshness import stale_stages
from apps.review.git import commit_of, git
from apps.review.html import html
from apps.review.markdown import markdown
from apps.review.page import Foreign, Strong, Words
from apps.review.sections import review
from apps.review.trees import WORKSPACE, Tree, base_of, find_tree
from pipeline.errors import UserError
from pipeline.files import write_text


def main(arguments: Sequence[str]) -> int:
    """Print or write the comparison; returns the exit status."""
    given = _parser().parse_args(arguments)
    try:
        after = find_tree(given.after)
        before = base_of(given.before, after) if given.merge_base else find_tree(given.before)
        page = review(before, after, warnings=_stale(after))
        text = markdown(page, pictures=given.pictures, rest=given.rest)
        if given.html:
            write_text(given.html, html(page))
        if given.markdown:
            write_text(given.markdown, text)
        else:
            print(text, end="")
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("before", nargs="?", default="HEAD", metavar="BEFORE")
    add("after", nargs="?", default=WORKSPACE, metavar="AFTER")
    add("--merge-base", action="store_true", help="compare with where AFTER left BEFORE")
    add("--markdown", type=Path, metavar="FILE", help="write the Markdown there")
    add("--html", type=Path, metavar="FILE", help="write one HTML file, pictures inside")
    add("--pictures", metavar="URL", help="of a file on the forge, with {commit} and {path}")
    add("--rest", metavar="URL", help="where a reader finds what the Markdown cuts off")
    return parser


def _stale(after: Tree) -> list[Words]:
    """A warning where the run's metrics are not those of its code, if it is checked out here."""
    here = after.name == WORKSPACE or (
        after.commit == commit_of("HEAD") and git("diff", "--quiet", "HEAD") is not None
    )
    if not here:
        return []
    try:
        stale = stale_stages(Path())
    except UserError as error:
        return [("⚠ DVC cannot say whether the metrics are of this tree: ", Foreign(str(error)))]
    stages = [word for found in stale for word in (", ", Foreign(found.stage))]
    told = ("⚠ ", Strong("Stale"), ", so the metrics are not of this tree: ", *stages[1:])
    return [told] if stale else []


if __name__ == "__main__":
    print_utf8()
    sys.exit(main(sys.argv[1:]))

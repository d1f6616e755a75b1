"""The same prompts' pictures of two runs: grids in git, and single ones from DVC's cache."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from apps.review.page import Foreign, Pair, Pictures
from apps.review.stages import entries, hashes
from apps.review.trees import Tree

GRIDS, CAPTIONS, GENERATED = "metrics/pictures", "metrics/captions.tsv", "data/generated"
FIRST = (f"{GRIDS}/generated.png", f"{GRIDS}/reconstructions.png")  # what a reviewer looks at
CACHE = Path(".dvc/cache/files/md5")
SINGLE = 16  # pictures shown one by one
LARGEST = 4_000_000  # bytes of a picture that still goes into a page
PNG = b"\x89PNG\r\n\x1a\n"


def grids(before: Tree, after: Tree) -> Pictures:
    """The committed grids that differ: generated pictures first."""
    names = {*before.names(GRIDS), *after.names(GRIDS)}
    pairs = [
        Pair(Foreign(path), *map(_png, sides))
        for path in sorted(names, key=lambda path: (path not in FIRST, path))
        if path.endswith(".png") and len({*(sides := (before.read(path), after.read(path)))}) > 1
    ]
    same = _prompts(before) == _prompts(after)
    same_order = "The same prompts, in the same order; the least novel are chosen anew."
    note = same_order if same else "The prompts differ."
    return Pictures("Pictures", pairs, (before.commit, after.commit), note=note)


def singles(before: Tree, after: Tree) -> Pictures:
    """The first prompts' first draws of both runs, where this machine has them."""
    old, new = (_drawn(tree) for tree in (before, after))
    shared = [prompt for prompt in new if prompt in old][:SINGLE]
    pairs = [Pair(Foreign(prompt), old[prompt], new[prompt]) for prompt in shared]
    differ = [pair for pair in pairs if pair.before != pair.after]
    same = f"; {len(pairs) - len(differ)} more are the same" if len(differ) < len(pairs) else ""
    note = f"One draw each that nobody chose{same}."
    return Pictures("The same prompts, one by one", differ, in_git=False, note=note)


def _drawn(tree: Tree) -> dict[str, bytes]:
    """A run's first draw of each prompt; nothing where its pictures are not on this machine."""
    files = _cached(tree)
    content = files.get("index.csv")
    if content is None:
        return {}
    found: dict[str, bytes] = {}
    rows = csv.DictReader(io.StringIO(content.decode("utf-8", "replace")))
    for row in rows:
        name = str(row.get("file"))
        if row.get("sample") == "0" and row.get("candidate") == "0" and len(found) < 4 * SINGLE:
            picture = _png(files.get(name))
            if picture is not None:
                found[str(row.get("prompt"))] = picture
    return found


def _cached(tree: Tree) -> Mapping[str, bytes]:
    """The files of the folder of generated pictures as DVC's cache holds them, by their paths."""
    digest = _digest(tree) if CACHE.is_dir() else None  # a lock takes a while to parse
    listed = _object(digest) if digest else None
    return _Lazy(json.loads(listed)) if listed else {}


class _Lazy(Mapping[str, bytes]):
    """Files of a cached folder, read when they are asked for."""

    def __init__(self, entries: list[dict[str, str]]) -> None:
        self.digests = {entry["relpath"]: entry["md5"] for entry in entries}

    def __getitem__(self, path: str) -> bytes:
        content = _object(self.digests[path])
        if content is None:
            raise KeyError(path)
        return content

    def __iter__(self) -> Iterator[str]:
        return iter(self.digests)

    def __len__(self) -> int:
        return len(self.digests)


def _digest(tree: Tree) -> str | None:
    """The hash that a run's lock gives the folder of generated pictures."""
    found = (dict(hashes(entry, "outs")) for entry in entries(tree).values())
    return next((outs[GENERATED] for outs in found if GENERATED in outs), None)


def _object(digest: str) -> bytes | None:
    if not digest.removesuffix(".dir").isalnum():  # a path would lead out of the cache
        return None
    path = CACHE / digest[:2] / digest[2:]
    return path.read_bytes() if path.is_file() else None


def _png(content: bytes | None) -> bytes | None:
    fits = content is not None and content.startswith(PNG) and len(content) <= LARGEST
    return content if fits else None


def _prompts(tree: Tree) -> list[str]:
    text = (tree.read(CAPTIONS) or b"").decode("utf-8", "replace")
    return [line.partition("\t")[0] for line in text.splitlines()]

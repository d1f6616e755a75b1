"""The stage as a whole: the real MUSTI over a network that fights back, killed, and run again."""

from __future__ import annotations

import json
import random
import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd
import pytest
from image_server import TEST_HTTP, ImageServer, encoded, paint
from intakes import MUSTI, data, outs, row, run_stage, start_stage
from test_fetch import BAD, GOOD

from pipeline.data.pairs import read_pairs

ALL_LANGUAGES = ["en", "it", "de", "fr"]
# Reasons that only decoding finds; the rest are those of `test_fetch`.
UNDECODABLE = {
    "html": ("not_a_picture", 200),
    "bomb": ("too_many_pixels", 200),
    "shortlength": ("broken", 200),
    "placeholder": ("placeholder", 200),
}


@pytest.fixture
def servers() -> Iterator[list[ImageServer]]:
    """Five servers, as MUSTI has."""
    with ExitStack() as stack:
        yield [stack.enter_context(ImageServer(f"127.0.0.{n}")) for n in range(1, 6)]


def musti() -> list[dict[str, Any]]:
    if not MUSTI.is_file():
        pytest.skip("needs ../shared/data/musti, which MediaEval gives out")
    rows: list[dict[str, Any]] = json.loads(MUSTI.read_text())["pairs"]
    return rows


def moved_to(servers: list[ImageServer], url: str, kind: str) -> str:
    """The URL at one of our servers, as an image of some kind; a space before it is kept."""
    bare = url.lstrip()
    server = servers[hash_of(bare.split("/")[2]) % len(servers)]
    return url[: len(url) - len(bare)] + server.url(kind, quote(bare, safe=""))


def hash_of(text: str) -> int:
    return sum(text.encode())


def report(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "data" / "report.csv", keep_default_na=False)


def write_rows(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text(json.dumps({"pairs": rows}), encoding="utf-8")
    return str(path)


def test_all_of_musti_comes_out_with_the_counts_that_it_has(
    tmp_path: Path, servers: list[ImageServer]
) -> None:
    rows = [{**r, "image": moved_to(servers, r["image"], "good")} for r in musti()]
    servers[0].files["train.json"] = json.dumps({"pairs": rows}).encode()
    http = {**TEST_HTTP.model_dump(), "max_bytes": 10_000_000, "deadline": 30.0}
    section = data(
        source="musti",
        musti={"train": servers[0].url("file", "train.json"), "test": ""},
        languages=ALL_LANGUAGES,
        http=http,
    )
    status, _, err = run_stage(tmp_path, section)
    assert status == 0, err
    table = report(tmp_path)
    kept = table[table["kept"] == "yes"]
    assert Counter(table["language"]) == {"en": 800, "it": 804, "de": 482, "fr": 304}
    assert Counter(kept["language"]) == {"en": 795, "it": 799, "de": 480, "fr": 300}
    assert Counter(table["reason"]) == {"": 2374, "repeated": 16}
    assert table["detail"].str.contains("contradict").sum() == 4
    pairs = read_pairs(tmp_path / "data" / "pairs.jsonl")
    # Of the 599 URLs two differ by a space before them alone.
    assert len({pair.image for pair in pairs}) == 598
    assert not [pair for pair in pairs if pair.title == "nan"]
    assert {616, 669} & {pair.id for pair in pairs if pair.match == "YES"} == {616}
    images = {}
    for pair in pairs:
        assert images.setdefault(pair.image, pair.split) == pair.split


def test_the_english_musti_survives_servers_that_do_their_worst(
    tmp_path: Path, servers: list[ImageServer]
) -> None:
    english = [r for r in musti() if r["language"] == "en"]
    kinds = [*GOOD, *BAD, *UNDECODABLE]
    urls = list(dict.fromkeys(r["image"].strip() for r in english))
    assert len(urls) == 205
    kind_of = {url: kinds[n % len(kinds)] for n, url in enumerate(urls)}
    rows = [
        {**r, "image": moved_to(servers, r["image"], kind_of[r["image"].strip()])} for r in english
    ]
    section = data(
        source="musti",
        musti={"train": write_rows(tmp_path / "t.json", rows), "test": ""},
        min_kept=0.2,
    )
    section["http"] = {**section["http"], "deadline": 3.5, "read_timeout": 0.4}
    start = time.monotonic()
    status, out, err = run_stage(tmp_path, section)
    took = time.monotonic() - start
    assert status == 0, err
    expected = {**dict.fromkeys(GOOD, ("", 200)), **BAD, **UNDECODABLE}
    ends = {r["id"]: expected[kind_of[r["image"].strip()]] for r in english}
    for line in report(tmp_path).to_dict("records"):
        found = line["reason"], int(line["http_status"]) if line["http_status"] else None
        assert found == ends[line["id"]] or line["reason"] == "repeated", line
    assert int(out) < 200, "megabytes"
    assert took < 60


def test_killed_anywhere_and_started_again_it_ends_in_the_same_bytes(
    tmp_path: Path, servers: list[ImageServer]
) -> None:
    kinds = ("late", "good", "late", "moved")
    rows = [
        row(
            n,
            servers[n % 5].url(kinds[n % 4], f"{n}.jpg"),
            subtask1_label=("YES", "NO")[n % 3 == 0],
        )
        for n in range(1, 121)
    ]
    http = {**data()["http"], "per_host": 1}  # slow enough to be killed in the middle, repeatedly
    section = data(json={"train": write_rows(tmp_path / "t.json", rows), "test": ""}, http=http)
    began = time.monotonic()
    assert run_stage(tmp_path / "undisturbed", section)[0] == 0
    length = time.monotonic() - began
    for server in servers:
        server.visits.clear()
    rng = random.Random(7)
    for _ in range(6):
        process = start_stage(tmp_path / "killed", section)
        time.sleep(rng.uniform(0.3, 1.0) * length)
        process.kill()
        process.communicate()
    status, _, err = run_stage(tmp_path / "killed", section)
    assert status == 0, err
    assert outs(tmp_path / "killed") == outs(tmp_path / "undisturbed")
    # What was whole when a run was killed was not asked for again; what was on its way was.
    visits = sum(v for m in servers for path, v in m.visits.items() if "moved" not in path)
    assert visits <= 120 + 6 * len(servers)


def test_a_source_of_local_files_needs_no_network_and_gives_the_same_twice(tmp_path: Path) -> None:
    for n in range(20):
        (tmp_path / f"p{n}.jpg").write_bytes(encoded(paint(f"p{n}.jpg")))
    train = write_rows(tmp_path / "train.json", [row(n, f"p{n}.jpg") for n in range(20)])
    section = data(
        json={"train": train, "test": ""}, http={**data()["http"], "allow_private": False}
    )
    for folder in ("one", "two"):
        status, _, err = run_stage(tmp_path / folder, section)
        assert status == 0, err
    assert outs(tmp_path / "one") == outs(tmp_path / "two")
    made = {path for path in outs(tmp_path / "one") if not path.startswith("data/images/")}
    assert made == {
        "data/pairs.jsonl",
        "data/prompts.jsonl",
        "data/report.csv",
        "data/pretrained/blip/manifest.json",
        "data/pretrained/lpips/manifest.json",
        "data/pretrained/wordnet/manifest.json",
        "metrics/data.json",
        "metrics/data.tsv",
    }


@pytest.mark.parametrize(
    ("section", "message"),
    [
        (data(source="musti"), r"data\.musti\.train = '': .*multimediaeval"),
        (data(), r"data\.json\.train = ''"),
        (
            data(json={"train": "none.json", "test": ""}),
            r"data\.json\.train = 'none\.json': No such",
        ),
        (data(json={"train": ".", "test": ""}), r"data\.json\.train = '\.': Is a directory"),
        (data(json={"train": "ftp://h/x", "test": ""}), "only http and https"),
        (data(json={"train": "http://127.0.0.1:1/x", "test": ""}), "no_connection"),
        (data(json={"train": "params.yaml", "test": ""}), r"expected \{\"pairs\""),
        (data(languages=[]), r"data\.languages"),
        (data(caption="titel"), r"data\.caption = 'titel'"),
        (data(val_share=0.5, test_share=0.5), "leave nothing to train on"),
        (data(max_pixels=10**9), r"data\.max_pixels"),
    ],
)
def test_a_mistake_costs_one_line(tmp_path: Path, section: dict[str, Any], message: str) -> None:
    status, _, err = run_stage(tmp_path, section)
    assert status == 1
    assert len(err.strip().splitlines()) == 1, err
    assert re.search(message, err), err

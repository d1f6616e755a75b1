"""Shards as sources: WebDataset's tar files; hostile ones cost a line each, never a traceback."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as options
from hypothesis import strategies as st
from image_server import TEST_HTTP, encoded, paint
from intakes import data as section
from intakes import left_out, outs, report_table, run_stage, settings, taken

from pipeline.data.picture_shards import names_in, shards_in
from pipeline.download.intake import Intake
from pipeline.download.shards import read_webdataset
from pipeline.download.sources import open_source
from pipeline.errors import UserError

COUNT = 12
Members = list[tuple[str | tarfile.TarInfo, bytes]]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def read(source: str, **changes: Any) -> Intake:
    chosen = settings(source=source, http=TEST_HTTP.model_dump(), **changes)
    return taken(Path("store"), lambda store: open_source(chosen, seed=1, store=store), chosen)


def picture(name: str, ending: str = "jpg") -> bytes:
    return encoded(paint(name), {"jpg": "JPEG", "png": "PNG", "webp": "WEBP"}[ending])


def write(path: Path, members: Members) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, data in members:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.size = len(data) if info.isreg() else 0
            tar.addfile(info, io.BytesIO(data))
    return path


def sample(key: str, **other: bytes) -> Members:
    """What img2dataset writes for a picture, in its order."""
    about = {"url": "http://x", "caption": f"Title {key}", "key": key, "status": "success",
             "width": 64, "exif": "{}", "artist": "Blake"}  # fmt: skip
    parts = {"jpg": picture(key), "json": json.dumps(about).encode(),
             "txt": f"Title {key}".encode(), **other}  # fmt: skip
    return [(f"{key}.{ending}", data) for ending, data in parts.items()]


def shard(number: int, first: int, count: int = COUNT) -> Members:
    keys = [f"{number:05d}{index:04d}" for index in range(first, first + count)]
    return [member for key in keys for member in sample(key)]


def problems(intake: Intake) -> dict[str, str]:
    table = report_table(intake)
    bad = table[table["reason"] == "bad_row"]
    return dict(zip(bad["image"], bad["detail"], strict=True))


def test_img2dataset_s_shards_are_a_source_checked_and_split_like_any_other() -> None:
    for number in (0, 1):
        write(Path(f"set/{number:05d}.tar"), shard(number, 0))
    Path("set/00000_stats.json").write_text("{}")
    intake = read("webdataset", webdataset={"train": "set"})
    assert left_out(intake) == {}
    assert {pair.caption for pair in intake.pairs} == {
        f"Title {number:05d}{index:04d}" for number in (0, 1) for index in range(COUNT)
    }
    assert {pair.split for pair in intake.pairs} == {"train", "val", "test"}
    assert report_table(intake)["id"].tolist()[0] == "00000/000000000"
    again = read("webdataset", webdataset={"train": "set/*.tar"})
    assert list(again.pairs) == list(intake.pairs)


def test_columns_map_the_keys_of_the_json_and_one_shard_can_be_named() -> None:
    write(Path("a.tar"), shard(0, 0))
    write(Path("b.tar"), shard(1, 0, 3))
    columns = {"title": "txt", "text": "{artist}: {caption}"}
    files = {"train": "a.tar", "test": "b.tar", "columns": columns}
    intake = read("webdataset", webdataset=files)
    assert {pair.text.split(":")[0] for pair in intake.pairs} == {"Blake"}
    assert sum(pair.split == "test" for pair in intake.pairs) == 3


def test_png_webp_folders_and_a_caption_without_txt_are_read() -> None:
    png = [("in/it/k1.png", picture("k1", "png")), ("in/it/k1.json", b'{"caption": "One"}')]
    webp = [("k2.WEBP", picture("k2", "webp")), ("k2.txt", "\ufeffZwei ü".encode())]
    write(Path("a.tar"), [*shard(0, 0), *png, *webp])
    intake = read("webdataset", webdataset={"train": "a.tar"})
    assert {"One", "Zwei ü"} < {pair.title for pair in intake.pairs}


def link(name: str, kind: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, "/etc/passwd"
    return info


def test_every_hostile_member_is_one_line_and_costs_its_own_sample_only() -> None:
    huge = TEST_HTTP.max_bytes + 1
    write(Path("a.tar"), [
        *shard(0, 0),
        ("/etc/cron.d/evil.jpg", picture("evil")), ("/etc/cron.d/evil.txt", b"Evil"),
        ("../../up.jpg", picture("up")),
        ("in\\..\\up2.jpg", picture("up2")),
        (link("soft.jpg", tarfile.SYMTYPE), b""), ("soft.txt", b"Soft"),
        (link("hard.jpg", tarfile.LNKTYPE), b""),
        (link("dev.jpg", tarfile.CHRTYPE), b""),
        ("huge.jpg", bytes(huge)), ("huge.txt", b"Huge"),
        ("silent.jpg", picture("silent")),
        ("blind.txt", b"Blind"),
        ("broken.jpg", picture("broken")), ("broken.txt", b"B"), ("broken.json", b"{"),
        ("latin.jpg", picture("latin")), ("latin.txt", "ü".encode("latin-1")),
        ("twice.jpg", picture("t1")), ("twice.png", picture("t2", "png")), ("twice.txt", b"T"),
        ("nested.jpg", picture("n")), ("nested.txt", b"N"),
        ("nested.json", b"[" * 100_000),
        ("._mac.jpg", b"x"), ("__MACOSX/x.jpg", b"x"), ("x.npy", b"x"),
        *sample("000000003"),
        ("none.jpg", b"<html>"), ("none.txt", b"None"),
    ])  # fmt: skip
    intake = read("webdataset", webdataset={"train": "a.tar"})
    assert len(intake.pairs) == COUNT
    found = problems(intake)
    for member, said in {
        "/etc/cron.d/evil.jpg": "leads out", "../../up.jpg": "leads out",
        "in\\..\\up2.jpg": "leads out",
        "soft.jpg": "links", "hard.jpg": "links", "dev.jpg": "links",
        "huge.jpg": "too large", "a/broken.json": "not JSON", "a/latin.txt": "not UTF-8",
        "twice.png": "a picture already", "a/nested.json": "not JSON",
    }.items():  # fmt: skip
        assert said in found[member], member
    details = report_table(intake)["detail"].tolist()
    assert sum("no text" in detail for detail in details) == 1
    assert sum("no picture among" in detail for detail in details) >= 2
    assert sum("has it already" in detail for detail in details) == 1
    assert left_out(intake)["a/none"] == "not_a_picture"
    assert not Path("/etc/cron.d/evil.jpg").exists()
    assert not list(Path().rglob("up*"))


def test_a_shard_that_is_cut_short_gives_what_is_whole_and_a_line() -> None:
    whole = write(Path("set/a.tar"), shard(0, 0)).read_bytes()
    members = write(Path("set/b.tar"), shard(1, 0)).read_bytes()
    Path("set/b.tar").write_bytes(members[: len(members) // 2])
    Path("set/c.tar").write_bytes(b"")
    Path("set/d.tar").write_bytes(b"<html>" * 1000)
    end = whole.rstrip(b"\0")
    Path("set/e.tar").write_bytes(end + bytes(-len(end) % 512))
    intake = read("webdataset", webdataset={"train": "set"})
    found = problems(intake)
    assert "read up to b/" in found["b.tar"]
    assert "nothing of it" in found["c.tar"]
    assert "nothing of it" in found["d.tar"]
    assert "no end mark" in found["e.tar"]
    assert COUNT < len(intake.pairs) < 3 * COUNT


def test_a_source_without_shards_is_one_line() -> None:
    Path("empty").mkdir()
    for at, said in [("empty", "no .tar file"), ("nowhere", "no such"), ("a*.tar", "no such")]:
        with pytest.raises(UserError, match=f"data.webdataset.train = '{at[:2]}.*{said}"):
            read("webdataset", webdataset={"train": at})
    with pytest.raises(UserError, match="data.webdataset.train = ''"):
        read("webdataset")


def test_a_line_says_when_dvc_does_not_look_at_the_shards(
    capsys: pytest.CaptureFixture[str],
) -> None:
    write(Path("shards/a.tar"), shard(0, 0))
    read("webdataset", watch="annotations", webdataset={"train": "shards"})
    assert "DVC looks for changes in data.watch = annotations only" in capsys.readouterr().err
    read("webdataset", watch="shards", webdataset={"train": "shards"})
    assert "DVC" not in capsys.readouterr().err


@options(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    cut=st.integers(0, 20_000),
    flips=st.lists(st.tuples(st.integers(0, 20_000), st.integers(0, 255)), max_size=8),
    name=st.text(min_size=1, max_size=30).filter(lambda text: "\0" not in text),
    body=st.binary(max_size=200),
    ending=st.sampled_from(["jpg", "txt", "json", "npy"]),
)
def test_no_damage_to_a_shard_is_a_traceback(
    tmp_path: Path, cut: int, flips: list[tuple[int, int]], name: str, body: bytes, ending: str
) -> None:
    info = tarfile.TarInfo(f"{name}.{ending}")
    small = [*sample("1", jpg=b"\xff\xd8"), *sample("2", jpg=b"\xff\xd8")]
    path = write(tmp_path / "fuzzed.tar", [*small[:3], (info, body), *small[3:]])
    damaged = bytearray(path.read_bytes()[: 20_000 - cut])
    for at, value in flips:
        if at < len(damaged):
            damaged[at] = value
    path.write_bytes(damaged)
    file = read_webdataset(
        "train", str(path), {}, tmp_path / "unpacked", key="data.webdataset.train", max_bytes=9999
    )
    assert file.lines is not None
    rows = [json.loads(line) for line in file.lines.read_text(encoding="utf-8").splitlines()]
    assert len(rows) + len(list(file.problems)) >= 1
    for row in rows:
        assert (tmp_path / "unpacked" / row["__image__"]).is_file()


def test_the_stage_runs_on_shards_and_again_to_the_same_bytes(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        write(tmp_path / folder / "shards" / "00000.tar", shard(0, 0, 24))
        chosen = section(source="webdataset", webdataset={"train": "shards"}, watch="shards")
        status, _, err = run_stage(tmp_path / folder, chosen)
        assert status == 0, err
    made = outs(tmp_path / "one")
    assert made == outs(tmp_path / "two")
    (kept,) = shards_in(tmp_path / "one" / "data" / "images")
    assert len(names_in(kept)) == 24

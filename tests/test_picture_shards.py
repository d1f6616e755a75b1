"""Shards of pictures: the bytes as they came, in tar files that are the same every time."""

from __future__ import annotations

import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.data import picture_shards
from pipeline.data.images import content_name
from pipeline.data.picture_shards import names_in, pictures_in, shards_in, write_shards
from pipeline.errors import UserError

BODIES = {f"{content_name(body)}.{ending}": body for body, ending in (
    (b"first" * 300, "jpg"), (b"second", "png"), (b"", "webp"), (b"x" * 512, "avif"),
)}  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("files")
    for name, body in BODIES.items():
        (folder / name).write_bytes(body)
    return {name: folder / name for name in BODIES}


def all_of(folder: Path) -> dict[str, bytes]:
    return {name: data for shard in shards_in(folder) for name, data in pictures_in(shard)}


def test_pictures_come_back_in_their_order_and_any_tar_unpacks_them(files, tmp_path: Path):
    write_shards(tmp_path / "images", files.items())
    assert list(all_of(tmp_path / "images").items()) == list(BODIES.items())
    (shard,) = shards_in(tmp_path / "images")
    assert list(names_in(shard)) == list(BODIES)
    (tmp_path / "unpacked").mkdir()
    subprocess.run(["tar", "-xf", shard, "-C", tmp_path / "unpacked"], check=True)
    with tarfile.open(shard) as tar:
        about = {(m.mtime, m.uid, m.gid, m.uname, m.mode) for m in tar.getmembers()}
    assert about == {(0, 0, 0, "", 0o644)}
    assert {p.name: p.read_bytes() for p in (tmp_path / "unpacked").iterdir()} == BODIES


def test_the_same_pictures_make_the_same_shards_cut_where_lists_are_cut(
    files, tmp_path: Path, monkeypatch
):
    monkeypatch.setattr(picture_shards, "shards", lambda names: [range(3), range(3, 4)])
    for name in ("one", "two"):
        write_shards(tmp_path / name, files.items())
    one, two = (shards_in(tmp_path / name) for name in ("one", "two"))
    assert [shard.name for shard in one] == ["00000.tar", "00001.tar"]
    assert [s.read_bytes() for s in one] == [s.read_bytes() for s in two]
    assert list(all_of(tmp_path / "one")) == list(BODIES)


def test_a_file_that_changed_after_it_was_looked_at_is_refused(files, tmp_path: Path):
    (tmp_path / "other").write_bytes(b"other")
    with pytest.raises(UserError, match="other: changed while it was read"):
        write_shards(tmp_path / "images", {**files, next(iter(files)): tmp_path / "other"}.items())


def test_a_folder_without_shards_and_a_missing_shard_are_one_line(tmp_path: Path):
    with pytest.raises(UserError, match="no shards of pictures; the download stage makes them"):
        shards_in(tmp_path)
    for read in (names_in, lambda shard: list(pictures_in(shard))):
        with pytest.raises(UserError, match=r"00000\.tar: no such file"):
            read(tmp_path / "00000.tar")


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_flipped_bit_or_a_missing_end_is_named(files, tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("damaged")
    write_shards(folder / "images", files.items())
    (shard,) = shards_in(folder / "images")
    broken = bytearray(shard.read_bytes())
    inside = sum(512 + -(-len(body) // 512) * 512 for body in BODIES.values())
    if data.draw(st.booleans()):
        at = data.draw(st.integers(0, 8 * len(broken) - 1))
        broken[at // 8] ^= 1 << at % 8
    else:
        del broken[data.draw(st.integers(0, inside + 1023)) :]
    shard.write_bytes(broken)
    found, said = BODIES, str(shard)
    try:
        found = dict(pictures_in(shard))
    except UserError as error:
        said = str(error)
    # What says nothing is of no consequence: in padding, or in a header's spare fields.
    assert found == BODIES
    assert said.startswith(str(shard))
    assert "\n" not in said


def test_a_damaged_header_in_the_middle_is_no_end(files, tmp_path: Path):
    write_shards(tmp_path / "images", files.items())
    (shard,) = shards_in(tmp_path / "images")
    broken = bytearray(shard.read_bytes())
    broken[512 + 1536 + 10] ^= 1  # in the second picture's name
    shard.write_bytes(broken)
    with pytest.raises(UserError, match=r"00000\.tar: damaged"):
        list(pictures_in(shard))

"""Files decoded in shares: what each is, whoever looked, and however often a run was killed."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from image_server import encoded, paint

from pipeline.data import cuts
from pipeline.data.decoding import Decoded, decode
from pipeline.data.images import content_name
from pipeline.download import looks
from pipeline.download.dedupe import Signatures, hash_of
from pipeline.download.looks import FINER, Look, forget_list, look_at, shares_of_looks
from pipeline.download.shards import read_webdataset
from pipeline.download.windows import thumbnail
from pipeline.errors import UserError
from pipeline.sample import write_sample

MOST = 10_000


@pytest.fixture(autouse=True)
def small_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuts, "SHORTEST", 2 * FINER)
    monkeypatch.setattr(cuts, "LONGEST", 4 * FINER)


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Twenty pictures, sorted by their paths."""
    paths = [tmp_path / f"{n:02d}.jpg" for n in range(20)]
    for path in paths:
        path.write_bytes(encoded(paint(path.name, size=40)))
    return [str(path) for path in paths]


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The bytes that were decoded, in the order in which threads came to them."""
    seen: list[bytes] = []

    def note(data: bytes, *, max_pixels: int) -> Decoded:
        seen.append(data)
        return decode(data, max_pixels=max_pixels)

    monkeypatch.setattr(looks, "decode", note)
    return seen


def looked(files: list[str], folder: Path) -> tuple[list[Look], Signatures]:
    found, signatures = look_at(files, max_pixels=MOST, folder=folder)
    return list(found), signatures


def test_each_file_is_looked_at_in_order_and_summed_up_in_its_row(
    files: list[str], tmp_path: Path
) -> None:
    Path(files[3]).write_bytes(b"<html>no</html>")
    Path(files[5]).write_bytes(encoded(paint("large", size=101)))
    Path(files[7]).unlink()
    found, signatures = looked(files, tmp_path / "run")
    assert len(found) == 20
    assert [look.reason for look in found[3:8]] == [
        "not_a_picture", "", "too_many_pixels", "", "no_file",
    ]  # fmt: skip
    for row in {*range(20)} - {3, 5, 7}:
        data = Path(files[row]).read_bytes()
        image = decode(data, max_pixels=MOST).image
        assert found[row] == Look(f"{content_name(data)}.jpg")
        assert np.array_equal(signatures.hashes[row], hash_of(image))
        assert np.array_equal(signatures.thumbnails[row], thumbnail(image))


def test_names_that_are_no_utf_8_and_no_files_at_all_are_looked_at(tmp_path: Path) -> None:
    odd = tmp_path / "a\nb\udcff.png"
    try:
        odd.write_bytes(encoded(paint("odd"), "PNG"))
    except OSError:
        pytest.skip("a system that takes no such names")
    found, _ = looked([str(odd)], tmp_path / "run")
    assert found[0].name.endswith(".png")
    assert looked([], tmp_path / "none")[0] == []


def test_a_run_that_was_killed_decodes_only_what_it_had_not_or_what_has_changed(
    files: list[str], tmp_path: Path, decoded: list[bytes]
) -> None:
    first, _ = looked(files, tmp_path / "run")
    assert len(decoded) == 20
    decoded.clear()
    again, signatures = looked(files, tmp_path / "run")
    assert (again, decoded) == (first, [])
    assert signatures.thumbnails.any(axis=(1, 2)).all()
    # A file that is another; and one more, which moves the blocks behind it until they meet again.
    for path, most in ((files[4], 4), (str(tmp_path / "041.jpg"), 19)):
        Path(path).write_bytes(encoded(paint(f"new {path}", size=40)))
        files = sorted({*files, path})
        expected, _ = looked(files, tmp_path / f"anew {len(files)}")
        decoded.clear()
        assert looked(files, tmp_path / "run")[0] == expected != first
        assert Path(path).read_bytes() in decoded
        assert len(decoded) <= most


def test_a_file_that_changes_while_it_is_read_is_one_line(
    files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def meddle(data: bytes, *, max_pixels: int) -> Decoded:
        Path(files[9]).write_bytes(b"")
        return decode(data, max_pixels=max_pixels)

    monkeypatch.setattr(looks, "decode", meddle)
    with pytest.raises(UserError, match=r"09\.jpg: changed while it was read"):
        looked(files, tmp_path / "run")


def test_who_helps_waits_for_the_list_and_leaves_nothing_to_decode(
    files: list[str], tmp_path: Path, decoded: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    assert shares_of_looks(run, max_pixels=MOST) is None
    write_list: Callable[..., int] = looks._write_list

    def write_and_be_helped(files: list[str], listed: Path) -> int:
        count = write_list(files, listed)
        shares = shares_of_looks(run, max_pixels=MOST)
        assert shares is not None
        assert len(shares.tasks) >= 5
        shares.help(is_over=lambda: False)
        assert len(decoded) == 20
        return count

    monkeypatch.setattr(looks, "_write_list", write_and_be_helped)
    assert len(looked(files, run)[0]) == len(decoded) == 20
    forget_list(run)
    assert shares_of_looks(run, max_pixels=MOST) is None


def test_pictures_that_are_unpacked_or_painted_again_are_known_as_the_same(tmp_path: Path) -> None:
    shard = tmp_path / "0.tar"
    with tarfile.open(shard, "w") as tar:
        for n in range(3):
            data = encoded(paint(str(n), size=20), "BMP")  # all of one size
            info = tarfile.TarInfo(f"{n}.bmp")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))

    def times() -> list[int]:
        read_webdataset(
            "train", str(shard), {"title": "__key__", "text": "__key__"}, tmp_path / "unpacked",
            key="", max_bytes=10**6,
        )  # fmt: skip
        write_sample(tmp_path / "sample", train=2, test=1, size=16, seed=0)
        files = [*tmp_path.glob("unpacked/*/*"), *tmp_path.glob("sample/images/*")]
        return [file.stat().st_mtime_ns for file in sorted(files)]

    before = times()
    assert len(before) == 6
    assert len({*before}) == 1 + 3
    assert times() == before
    os.utime(shard)
    assert times() != before


def test_more_files_before_them_leave_the_shares_of_others_as_they_were(
    files: list[str], decoded: list[bytes], tmp_path: Path
) -> None:
    looked(files, tmp_path / "run")
    new = [tmp_path / f"!{n:02d}.jpg" for n in range(12)]
    for path in new:
        path.write_bytes(encoded(paint(path.name, size=40)))
    decoded.clear()
    looked([*map(str, new), *files], tmp_path / "run")
    assert len(new) <= len(decoded) < len(new) + len(files)


def test_a_list_that_is_written_anew_leaves_helpers_without_work_and_the_shares_as_they_were(
    files: list[str], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    looked(files, run)
    old = shares_of_looks(run, max_pixels=MOST)
    assert old is not None
    Path(files[0]).write_bytes(encoded(paint("another", size=40)))
    looked(files, run)
    for name in old.tasks:
        (old.folder / name).unlink()
    old.help(is_over=lambda: False)
    assert old.refused == {next(iter(old.tasks))}
    made = [*old.folder.glob(16 * "[0-9a-f]")]
    assert len(made) == len(old.tasks)  # with the new one of the first block

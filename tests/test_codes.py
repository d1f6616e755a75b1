"""The code store gives back what was put in, or says what is wrong with the file."""

from __future__ import annotations

import copy
import os
import pickle
import sys
from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path

import lmdb
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.codes import CodeStore
from pipeline.codes.store import Record
from pipeline.errors import UserError

SHAPE = (4, 3)


def records(count: int, n_embed: int = 512, seed: int = 0) -> list[Record]:
    codes = np.random.default_rng(seed).integers(n_embed, size=(count, *SHAPE))
    return [
        Record(
            grid, f"painting {row} é.jpg", id=3 * row - 7, view=row % 300, shift=(row % 9 - 4, -row)
        )
        for row, grid in enumerate(codes)
    ]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def write(path: Path, count: int = 40, n_embed: int = 512) -> Path:
    CodeStore.write(path, records(count, n_embed), shape=SHAPE, n_embed=n_embed)
    return path


@pytest.mark.parametrize(
    ("n_embed", "dtype"),
    [(1, "u1"), (256, "u1"), (257, "u2"), (65536, "u2"), (65537, "u4"), (1 << 32, "u4")],
)
def test_what_was_put_in_comes_out(tmp_path: Path, n_embed: int, dtype: str) -> None:
    wanted = records(30, n_embed)
    path = tmp_path / "codes.lmdb"
    assert CodeStore.write(path, iter(wanted), shape=SHAPE, n_embed=n_embed) == 30
    with CodeStore.open(path) as store:
        assert (len(store), store.shape, store.n_embed) == (30, SHAPE, n_embed)
        assert list(store.filenames()) == [record.filename for record in wanted]
        assert store.ids.tolist() == [record.id for record in wanted]
        assert store.views.tolist() == [record.view for record in wanted]
        assert store.shifts.tolist() == [list(record.shift) for record in wanted]
        for (codes, name), record in zip(store, wanted, strict=True):
            np.testing.assert_array_equal(codes, record.codes)
            assert codes.dtype == np.dtype(f"<{dtype}")
            assert name == record.filename
        rows = [29, 0, 7, 7, -1]
        np.testing.assert_array_equal(
            store.batch(np.array(rows)), np.stack([wanted[row][0] for row in rows])
        )
        assert store.batch([]).shape == (0, *SHAPE)
        with pytest.raises(IndexError, match="row 30"):
            store[30]
        with pytest.raises(IndexError, match="row 30"):
            store.batch([0, 30])
    assert names(tmp_path) == ["codes.lmdb"]


def test_codes_are_read_in_place_and_cannot_be_written(tmp_path: Path) -> None:
    with CodeStore.open(write(tmp_path / "a")) as store:
        codes, _ = store[3]
        assert not codes.flags.owndata
        with pytest.raises(ValueError, match="read-only"):
            codes[0, 0] = 1
        assert store.batch([3]).flags.writeable


def test_the_same_records_make_the_same_bytes(tmp_path: Path) -> None:
    first, second = write(tmp_path / "a"), write(tmp_path / "b")
    assert first.read_bytes() == second.read_bytes()
    with CodeStore.open(first) as store:
        list(store)
    assert first.read_bytes() == second.read_bytes()


def test_a_store_larger_than_its_first_map_is_compact_and_the_same_each_time(
    tmp_path: Path,
) -> None:
    codes = np.arange(64 * 64).reshape(64, 64) % 300

    def many() -> Iterator[Record]:
        return (Record(np.roll(codes, row), f"{row}", row) for row in range(2100))

    for name in "ab":
        CodeStore.write(tmp_path / name, many(), shape=(64, 64), n_embed=300)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "a").stat().st_size < 1.6 * 2100 * codes.size * 2
    with CodeStore.open(tmp_path / "a") as store:
        np.testing.assert_array_equal(store[2099][0], np.roll(codes, 2099))


def test_a_read_only_file_is_read_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = write(tmp_path / "a")
    path.chmod(0o444)
    with CodeStore.open(path) as store:
        assert len(list(store)) == 40
    assert names(tmp_path) == ["a"]


def read_in_worker(store: CodeStore) -> tuple[int, str]:
    return int(store[5][0].sum()), store[5][1]


def test_a_worker_process_opens_it_anew(tmp_path: Path) -> None:
    with CodeStore.open(write(tmp_path / "a")) as store, get_context("spawn").Pool(1) as pool:
        assert pool.apply(read_in_worker, (store,)) == read_in_worker(store)


def test_a_failed_writing_leaves_the_old_store(tmp_path: Path) -> None:
    path = write(tmp_path / "a")
    before = path.read_bytes()

    def broken() -> Iterator[Record]:
        yield from records(5)
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        CodeStore.write(path, broken(), shape=SHAPE, n_embed=512)
    assert path.read_bytes() == before
    assert names(tmp_path) == ["a"]


def test_rows_of_several_entries(tmp_path: Path) -> None:
    wanted = records(2500)
    CodeStore.write(tmp_path / "a", iter(wanted), shape=SHAPE, n_embed=512)
    with CodeStore.open(tmp_path / "a") as store:
        assert list(store.filenames()) == [record.filename for record in wanted]
        rows = [2499, 1024, 1023, 0, 2048, -2500]
        np.testing.assert_array_equal(store.batch(rows), np.stack([wanted[i][0] for i in rows]))
        for row in rows:
            codes, name = store[row]
            np.testing.assert_array_equal(codes, wanted[row][0])
            assert name == wanted[row][1]


def test_a_closed_store_has_no_rows(tmp_path: Path) -> None:
    with CodeStore.open(write(tmp_path / "a")) as store:
        pass
    assert list(store.filenames()) == []
    with pytest.raises(IndexError, match="row 3"):
        store[3]
    with pytest.raises(IndexError, match="row 3"):
        store.batch([3])


def test_an_empty_store_is_a_store(tmp_path: Path) -> None:
    CodeStore.write(tmp_path / "a", [], shape=SHAPE, n_embed=2)
    with CodeStore.open(tmp_path / "a") as store:
        assert (len(store), [*store.filenames()]) == (0, [])


def test_codes_that_do_not_fit_are_named(tmp_path: Path) -> None:
    for n_embed in (0, (1 << 32) + 1):
        with pytest.raises(UserError, match=f"n_embed is {n_embed}"):
            CodeStore.write(tmp_path / "a", [], shape=SHAPE, n_embed=n_embed)
    for value in (-1, 512):
        bad = [*records(2), Record(np.full(SHAPE, value), "x", 9)]
        with pytest.raises(ValueError, match="row 2: codes from"):
            CodeStore.write(tmp_path / "a", bad, shape=SHAPE, n_embed=512)
    with pytest.raises(ValueError, match=r"row 0: codes of shape \(4, 3\)"):
        CodeStore.write(tmp_path / "a", records(1), shape=(3, 4), n_embed=512)
    assert not names(tmp_path)


def test_a_missing_or_foreign_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="none: no such code store"):
        CodeStore.open(tmp_path / "none")
    (tmp_path / "page").write_text("<html>" * 5000)
    with pytest.raises(UserError, match="page: damaged, or no code store"):
        CodeStore.open(tmp_path / "page")
    (tmp_path / "empty").touch()
    with pytest.raises(UserError, match="empty: "):
        CodeStore.open(tmp_path / "empty")
    foreign = str(tmp_path / "foreign")
    with lmdb.open(foreign, subdir=False, lock=False) as env, env.begin(write=True) as transaction:
        transaction.put(b"length", b"7")
    with pytest.raises(UserError, match="foreign: damaged, or no code store"):
        CodeStore.open(foreign)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_is_named(tmp_path: Path, place: float, bit: int) -> None:
    path = tmp_path / "a"
    if not path.exists():
        write(path, 200)
    whole = path.read_bytes()
    damaged = bytearray(whole)
    damaged[int(place * len(whole))] ^= 1 << bit
    other = tmp_path / "damaged"
    other.write_bytes(damaged)
    with pytest.raises(UserError, match="damaged: damaged, or no code store"):
        CodeStore.open(other)


def test_a_file_cut_short_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a", 3000)
    whole = path.read_bytes()
    for size in (100, 4096, len(whole) // 2, len(whole) - 4096, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(UserError, match="a: "):
            CodeStore.open(path)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows replaces no file that is open")
def test_a_store_is_opened_as_often_as_one_likes(tmp_path: Path) -> None:
    path = tmp_path / "codes.lmdb"
    filled = [Record(np.full((2, 2), n), f"{n}.png", id=n, view=0) for n in range(5)]
    CodeStore.write(path, filled, shape=(2, 2), n_embed=8)
    first, second = CodeStore.open(path), CodeStore.open(str(path))
    (tmp_path / "link.lmdb").symlink_to(path)
    others = [
        CodeStore.open(tmp_path / "link.lmdb"), pickle.loads(pickle.dumps(first)),
        copy.copy(first), copy.deepcopy(first),
    ]  # fmt: skip
    view = second[3][0]
    first.close()
    first.close()
    for store in (second, *others):
        assert store[3][1] == "3.png"
        assert store.batch([4, 0])[:, 0, 0].tolist() == [4, 0]
    assert view.tolist() == [[3, 3], [3, 3]]
    assert len(first) == 0
    assert "codes.lmdb" in maps()
    # The file may be made again meanwhile: whoever opens it then gets the new one.
    CodeStore.write(path, filled[:2], shape=(2, 2), n_embed=8)
    assert (len(CodeStore.open(path)), len(second)) == (2, 5)
    for store in (second, *others):
        store.close()
    assert str(path) not in maps()  # none is left behind


def maps() -> str:
    """The files that this process maps, as Linux tells it."""
    told = Path("/proc/self/maps")
    return told.read_text() if told.exists() else "codes.lmdb"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
def test_a_forked_process_uses_its_parent_s_store_and_opens_it_anew(tmp_path: Path) -> None:
    path = tmp_path / "codes.lmdb"
    record = Record(np.ones((2, 2), int), "a.png", id=0, view=0)
    CodeStore.write(path, [record], shape=(2, 2), n_embed=2)
    with CodeStore.open(path) as store:
        child = os.fork()
        if child == 0:  # no assertion may leave this process by another way
            status = 1
            try:
                with CodeStore.open(path) as again:
                    status = 0 if again[0][1] == store[0][1] == "a.png" else 2
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert store[0][1] == "a.png"

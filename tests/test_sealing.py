"""Sealed rows and folders: whatever changes is noticed and named."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import UserError
from pipeline.sealing import check_folder, read_rows, seal_folder, write_rows

ROWS = [{"id": 1, "text": "Schiff im Sturm, 嵐", "labels": ["ship"]}, {"id": 2, "text": ""}]


@pytest.fixture(scope="module")
def sealed(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    write_rows(path, ROWS, count=2)
    return path.read_bytes()


def test_rows_come_back(tmp_path: Path):
    write_rows(tmp_path / "rows.jsonl", ROWS, count=2)
    assert [row for _, row in read_rows(tmp_path / "rows.jsonl")] == ROWS


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_flipped_bit_or_a_missing_end_is_named(sealed, tmp_path_factory, data):
    broken = bytearray(sealed)
    if data.draw(st.booleans()):
        at = data.draw(st.integers(0, 8 * len(sealed) - 1))
        broken[at // 8] ^= 1 << at % 8
    else:
        del broken[data.draw(st.integers(1, len(sealed) - 1)) :]
    path = tmp_path_factory.mktemp("broken") / "rows.jsonl"
    path.write_bytes(broken)
    with pytest.raises(UserError, match=r"^[^\n]*rows\.jsonl[^\n]*$"):
        list(read_rows(path))


@pytest.mark.parametrize("damage", ["flip", "cut", "remove", "manifest"])
def test_damage_in_a_sealed_folder_is_named(tmp_path: Path, damage: str):
    (tmp_path / "part").mkdir()
    file = tmp_path / "part" / "weights"
    file.write_bytes(b"0123456789")
    seal_folder(tmp_path, origin="here")
    check_folder(tmp_path)
    if damage == "flip":
        file.write_bytes(b"0123466789")
    elif damage == "cut":
        file.write_bytes(b"012345678")
    elif damage == "remove":
        file.unlink()
    else:
        (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(UserError, match="manifest" if damage == "manifest" else "part/weights"):
        check_folder(tmp_path)


def test_a_folder_without_a_seal_passes(tmp_path: Path):
    (tmp_path / "weights").write_bytes(b"mine")
    check_folder(tmp_path)

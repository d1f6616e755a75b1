"""params.yaml: whatever is wrong in it becomes one line that says what and what is allowed."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from pipeline.errors import UserError
from pipeline.params import Section, load_section


class Paint(Section):
    colour: Literal["red", "blue"]
    n_embed: int = Field(ge=2, le=65536)
    lr: float = Field(gt=0)
    prompts: tuple[str, ...]


GOOD = {"colour": "red", "n_embed": "256", "lr": "1e-05", "prompts": "[a ship, a dog]"}


def load(tmp_path: Path, **changes: str) -> Paint:
    path = tmp_path / "params.yaml"
    lines = [f"  {key}: {value}" for key, value in {**GOOD, **changes}.items() if value]
    path.write_text("paint:\n" + "\n".join(lines) + "\n")
    return load_section(path, "paint", Paint)


def test_a_section_is_typed_and_frozen(tmp_path):
    paint = load(tmp_path)
    assert (paint.n_embed, paint.lr, paint.prompts) == (256, 1e-5, ("a ship", "a dog"))
    with pytest.raises(ValueError, match="frozen"):
        paint.n_embed = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"n_embd": "3"}, r"paint.n_embd: unknown key; did you mean n_embed\?"),
        ({"n_embed": "many"}, "paint.n_embed = 'many': .*integer"),
        ({"n_embed": "100000"}, "paint.n_embed = 100000: .*65536"),
        ({"n_embed": "2.5"}, "paint.n_embed = 2.5"),
        ({"n_embed": "true"}, "paint.n_embed = True"),
        ({"lr": ".nan"}, "paint.lr = nan: .*finite"),
        ({"lr": ".inf"}, "paint.lr = inf: .*finite"),
        ({"colour": "green"}, "paint.colour = 'green': .*'red' or 'blue'"),
        ({"lr": ""}, "paint.lr: missing"),
        ({"prompts": "[1]"}, "paint.prompts.0 = 1"),
    ],
)
def test_a_mistake_is_one_line_that_names_key_and_value(tmp_path, changes, said):
    with pytest.raises(UserError, match=said) as caught:
        load(tmp_path, **changes)
    assert "\n" not in str(caught.value)


def test_all_mistakes_are_named_at_once(tmp_path):
    with pytest.raises(UserError, match=r"colour.*n_embed"):
        load(tmp_path, colour="green", n_embed="1")


def test_a_missing_file_or_section_is_named(tmp_path):
    with pytest.raises(UserError, match="nowhere.yaml: no such file"):
        load_section(tmp_path / "nowhere.yaml", "paint", Paint)
    (tmp_path / "params.yaml").write_text("other: 1\n")
    with pytest.raises(UserError, match="section 'paint' is missing"):
        load_section(tmp_path / "params.yaml", "paint", Paint)


@given(st.binary(max_size=200))
def test_no_bytes_whatever_make_another_error(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("params") / "params.yaml"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        load_section(path, "paint", Paint)
    assert "\n" not in str(caught.value)

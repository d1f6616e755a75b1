"""How weights are kept: in 16 bits where that loses nothing, the same numbers for whoever reads."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from blips import build
from pydantic import PositiveInt
from safetensors.torch import load_file
from torch import nn
from transformers.models.blip.modeling_blip import (
    BlipForConditionalGeneration,
    BlipForImageTextRetrieval,
)

from pipeline.models.blip import Blip
from pipeline.models.blip_plain import BlipCaptioner, BlipTexts
from pipeline.models.storage import (
    WEIGHTS,
    fingerprint,
    kept,
    load_model,
    round_as_kept,
    save_model,
)
from pipeline.params import Section


class Width(Section):
    width: PositiveInt


class Network(nn.Module):
    """Weights like any model's, and averages of counts: too large, and too small, for 16 bits."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layer = nn.Linear(width, width)
        self.register_buffer("many", torch.full((width,), 1e5) + torch.arange(width))
        self.register_buffer("few", torch.full((width,), 1e-7) + 1e-9 * torch.arange(width))
        self.register_buffer("count", torch.tensor(70000))


@pytest.fixture
def network() -> Network:
    torch.manual_seed(0)
    return Network(64)


def save(network: Network, folder: Path) -> Network:
    save_model(network, Width(width=64), folder)
    return load_model(folder, Network)


def test_weights_take_half_the_bytes_and_come_back_within_rounding(network, tmp_path):
    again = save(network, tmp_path / "a")
    assert (tmp_path / "a" / WEIGHTS).stat().st_size < 2.2 * 64 * 65 + 2 * 4 * 64 + 500
    assert again.layer.weight.dtype == torch.float32
    torch.testing.assert_close(again.layer.weight, network.layer.weight, rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("name", ["many", "few", "count"])
def test_what_16_bits_cannot_hold_stays_as_it_is(network, tmp_path, name):
    again = save(network, tmp_path / "a")
    assert torch.equal(again.get_buffer(name), network.get_buffer(name))


def test_a_number_that_is_none_is_not_hidden():
    broken = {"a": torch.tensor([1.0, torch.nan]), "b": torch.tensor([1.0, torch.inf])}
    assert {tensor.dtype for tensor in kept(broken).values()} == {torch.float32}


def test_zeros_lose_nothing():
    assert kept({"a": torch.zeros(3)})["a"].dtype == torch.float16


def test_what_was_loaded_is_saved_in_the_same_bytes(network, tmp_path):
    save(save(network, tmp_path / "a"), tmp_path / "b")
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()


def test_a_rounded_model_answers_as_it_will_when_it_is_loaded(network, tmp_path):
    again = save(network, tmp_path / "a")
    x = torch.randn(3, 64)
    assert not torch.equal(network.layer(x), again.layer(x))
    round_as_kept(network)
    assert torch.equal(network.layer(x), again.layer(x))


def test_a_fingerprint_is_of_what_is_stored(network, tmp_path):
    again = save(network, tmp_path / "a")
    assert fingerprint(again) == fingerprint(network)
    with torch.no_grad():
        network.layer.bias[0] += 1e-2
    assert fingerprint(again) != fingerprint(network)


@pytest.mark.parametrize(
    ("part", "ours", "theirs"),
    [
        ("retrieval", BlipTexts, BlipForImageTextRetrieval),
        ("captioner", BlipCaptioner, BlipForConditionalGeneration),
    ],
)
def test_blip_is_kept_in_16_bits_and_read_in_32_by_ours_and_by_transformers(
    tmp_path, part, ours, theirs
):
    checkpoint = build()
    checkpoint.save(tmp_path)
    folder = tmp_path / part
    stored = {value.dtype for value in load_file(folder / WEIGHTS).values() if value.ndim}
    assert stored == {torch.float16}
    model = getattr(checkpoint, part)
    round_as_kept(model)
    wanted = model.state_dict()
    readers = (
        ours.from_pretrained(folder),
        getattr(Blip.from_pretrained(tmp_path), part),
        theirs.from_pretrained(folder),
    )
    for reader in readers:
        assert reader.state_dict()
        for name, value in reader.state_dict().items():
            assert value.dtype in (torch.float32, torch.int64), name
            assert torch.equal(value, wanted[name]), name


def test_blips_captioner_is_kept_once_however_its_words_are_shared(tmp_path):
    checkpoint = build()
    checkpoint.save(tmp_path)
    words = checkpoint.captioner.text_decoder
    names = {name for name in load_file(tmp_path / "captioner" / WEIGHTS) if "word_emb" in name}
    assert len(names) == 1
    again = Blip.from_pretrained(tmp_path).captioner.text_decoder
    assert again.cls.predictions.decoder.weight is again.bert.embeddings.word_embeddings.weight
    round_as_kept(words)
    assert torch.equal(
        again.bert.embeddings.word_embeddings.weight, words.bert.embeddings.word_embeddings.weight
    )

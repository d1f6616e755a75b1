"""BLIP without transformers: the same bits as with it, and in a fraction of the time."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from blips import build, picture

from pipeline.data.tokenizer import WordPieces, token_ids, train_tokenizer
from pipeline.errors import UserError
from pipeline.models.blip import Blip
from pipeline.models.blip_plain import BlipCaptioner
from pipeline.models.blip_reader import BlipReader
from pipeline.models.quantizer import Quantizer

IMAGES = np.stack([picture("red", "left", number) for number in range(5)])
TEXTS = ["A red square", "A blue square on the left", "green", "[SEP] a [ENC] red", "red " * 40]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("blip") / "blip"
    build(vision_layers=2, text_layers=2).save(path)
    return path


def test_texts_are_those_of_transformers_bit_by_bit(folder):
    reader, blip = BlipReader.from_pretrained(folder), Blip.from_pretrained(folder)
    ours, theirs = reader.embed_texts(TEXTS), blip.embed_texts(TEXTS)
    for name in ("pooled", "tokens", "mask"):
        assert torch.equal(getattr(ours, name), getattr(theirs, name)), name


@pytest.mark.parametrize("text", TEXTS)
def test_likelihoods_are_those_of_transformers_bit_by_bit(folder, text):
    reader, blip = BlipReader.from_pretrained(folder), Blip.from_pretrained(folder)
    assert np.array_equal(reader.likelihoods(IMAGES, text), blip.likelihoods(IMAGES, text))


def test_a_captioner_that_has_a_tower_of_its_own_sees_by_it(tmp_path):
    """As after a training from a checkpoint."""
    checkpoint = build(vision_layers=2, text_layers=2)
    shared = Blip(checkpoint).likelihoods(IMAGES, TEXTS[0])
    tower = copy.deepcopy(checkpoint.captioner.vision_model)
    torch.nn.init.normal_(tower.embeddings.class_embedding)
    checkpoint.captioner.vision_model = tower
    checkpoint.save(tmp_path / "blip")
    reader, blip = (
        BlipReader.from_pretrained(tmp_path / "blip"),
        Blip.from_pretrained(tmp_path / "blip"),
    )
    ours = reader.likelihoods(IMAGES, TEXTS[0])
    assert np.array_equal(ours, blip.likelihoods(IMAGES, TEXTS[0]))
    assert not np.allclose(ours, shared)


@pytest.mark.parametrize("text", ["A red square", "red " * 40])
def test_a_likelihood_is_what_the_captioner_loses_on_the_text_in_training(folder, text):
    blip, reader = Blip.from_pretrained(folder), BlipReader.from_pretrained(folder)
    ids = torch.tensor(token_ids(blip.tokenizer, [text]))
    assert ids.shape[1] <= blip.tokenizer.model_max_length
    ids[:, 0] = blip.checkpoint.decode_id
    pixels = blip.stem(blip.checkpoint.pixels(torch.from_numpy(IMAGES[:1])))
    with torch.no_grad():
        lost = blip.captioner(pixel_values=pixels, input_ids=ids, labels=ids).loss
    assert reader.likelihoods(IMAGES[:1], text)[0] == pytest.approx(float((-lost).exp()), rel=1e-5)


def test_no_picture_has_no_likelihood(folder):
    assert BlipReader.from_pretrained(folder).likelihoods(IMAGES[:0], "A red square").shape == (0,)


def test_what_the_last_layer_forgets_of_a_text_its_tokens_still_tell(folder):
    reader = BlipReader.from_pretrained(folder)
    last = reader.retrieval.text_encoder.encoder["layer"][-1].output.LayerNorm
    torch.nn.init.zeros_(last.weight)  # as for BLIP's "two birds" and "three birds"
    condition = reader.embed_texts(["a red square", "a blue square"])
    assert torch.equal(condition.pooled[0], condition.pooled[1])
    assert (condition.tokens[0, 2] - condition.tokens[1, 2]).norm() > 0.5


def test_pieces_are_those_of_transformers_and_its_tokenizer_stays_as_it_is():
    tokenizer = train_tokenizer(["A red square, äpfel"], vocab_size=60, max_length=9)
    before = tokenizer.backend_tokenizer.to_str()
    pieces = WordPieces.of(tokenizer)
    assert tokenizer.backend_tokenizer.to_str() == before
    texts = ["A red\u200b  square", "[SEP]", "äpfel " * 20, ""]
    assert pieces.ids(texts) == token_ids(tokenizer, texts)
    assert pieces.ids([]) == []


def test_a_painter_is_loaded_without_transformers_or_what_only_trains(folder):
    script = (
        "import sys\nfrom pipeline.painter import Painter, BlipReader\n"
        f"BlipReader.from_pretrained({str(folder)!r})\n"
        "print([m for m in ('transformers', 'vector_quantize_pytorch', 'accelerate', 'pandas')"
        " if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=100
    )
    assert done.stdout.strip() == "[]"


def test_a_checkpoint_of_another_kind_is_one_line(folder, tmp_path):
    config = json.loads((folder / "retrieval/config.json").read_text())
    config["text_config"]["hidden_act"] = "relu"
    build().save(tmp_path / "blip")
    (tmp_path / "blip/manifest.json").unlink()
    (tmp_path / "blip/retrieval/config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match="hidden_act: only gelu"):
        BlipReader.from_pretrained(tmp_path / "blip")
    (tmp_path / "blip/retrieval/tokenizer.json").write_text("{}")
    (tmp_path / "blip/retrieval/config.json").write_text("{}")
    with pytest.raises(UserError, match="no checkpoint of BlipTexts"):
        BlipReader.from_pretrained(tmp_path / "blip")
    (tmp_path / "blip/captioner/config.json").write_text("{}")
    with pytest.raises(UserError, match="no checkpoint of BlipCaptioner"):
        BlipCaptioner.from_pretrained(tmp_path / "blip/captioner")
    with pytest.raises(UserError, match="no tokenizer"):
        WordPieces.from_pretrained(tmp_path / "blip/retrieval")


@pytest.mark.parametrize("kind", ["ema", "cosine"])
@pytest.mark.parametrize("dim", [4, 8])
def test_a_book_that_is_only_looked_up_holds_the_same_vectors(kind, dim):
    torch.manual_seed(0)
    sizes = {"dim": dim, "n_embed": 16, "embed_dim": 4, "commitment_weight": 1.0}
    whole = Quantizer(kind, **sizes)
    whole.train()(torch.randn(4, 32, dim))
    light = Quantizer(kind, **sizes, decode_only=True)
    light.load_state_dict(whole.state_dict())
    codes = torch.randint(16, (3, 7))
    assert torch.equal(light.lookup(codes), whole.eval().lookup(codes))

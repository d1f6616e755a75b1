"""BLIP at work: what it is fed, what comes out, and its folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from blips import build, picture
from transformers import (
    BertTokenizer,
    BlipForConditionalGeneration,
    BlipForImageTextRetrieval,
    BlipProcessor,
)

from pipeline.data.tokenizer import padded, token_ids, train_tokenizer
from pipeline.errors import UserError
from pipeline.models.blip import Blip
from pipeline.models.blip_checkpoint import CLIP_MEAN, CLIP_STD, BlipCheckpoint, grid_positions
from pipeline.models.blip_reader import BlipReader
from pipeline.models.blip_sizes import picture_size
from pipeline.models.blip_stem import BlipStem

VOCABULARY = Path(__file__).parents[2] / "shared/pretrained/bert-base-uncased/vocab.txt"
TEXTS = ["A red square", "A blue square on the left", "green"]
IMAGES = np.stack(
    [picture("red", "left", 1), picture("blue", "left", 2), picture("green", "right", 3)]
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("blip") / "blip"
    build().save(path)
    return path


@pytest.fixture(scope="module")
def blip(folder: Path) -> Blip:
    return Blip.from_pretrained(folder)


def test_the_same_texts_give_the_same_vocabulary_every_time():
    texts = [f"{first}{last} tree" for first in "abcdefgh" for last in ("ing", "ed", "äpfel")]
    found = [train_tokenizer(texts, vocab_size=90, max_length=8).get_vocab() for _ in range(5)]
    assert all(vocabulary == found[0] for vocabulary in found)


def test_blips_own_tokens_stand_behind_the_vocabulary_and_no_text_can_write_them():
    tokenizer = train_tokenizer(["a red tree", "[ENC] a tree"], vocab_size=60, max_length=16)
    vocabulary = tokenizer.get_vocab()
    assert vocabulary["[DEC]"] == tokenizer.bos_token_id == len(vocabulary) - 2
    assert vocabulary["[ENC]"] == len(vocabulary) - 1
    ids = token_ids(tokenizer, ["[ENC] a [SEP] tree"])[0]
    assert vocabulary["[ENC]"] not in ids
    assert ids.count(tokenizer.sep_token_id) == 1


def test_a_long_text_is_cut_and_still_ends_as_a_text():
    tokenizer = train_tokenizer(["a red tree"], vocab_size=60, max_length=5)
    ids = token_ids(tokenizer, ["a red tree " * 9])[0]
    assert len(ids) == 5
    assert ids[-1] == tokenizer.sep_token_id


def test_accents_survive_and_case_does_not():
    tokenizer = train_tokenizer(["Äpfel am Zweig"], vocab_size=80, max_length=8)
    ids = token_ids(tokenizer, ["äpfel AM zweig"])[0]
    assert tokenizer.decode(ids, skip_special_tokens=True) == "äpfel am zweig"


def test_padding_marks_what_is_a_token():
    table, present = padded([[5, 6, 7], [8]], pad=0)
    assert table.tolist() == [[5, 6, 7], [8, 0, 0]]
    assert present.tolist() == [[True, True, True], [True, False, False]]
    assert padded([], pad=0)[0].shape == (0, 0)


def test_both_folders_load_with_plain_from_pretrained(folder: Path, blip: Blip):
    retrieval = BlipForImageTextRetrieval.from_pretrained(folder / "retrieval")
    captioner = BlipForConditionalGeneration.from_pretrained(folder / "captioner")
    for name, value in retrieval.state_dict().items():
        assert torch.equal(value, blip.retrieval.state_dict()[name]), name
    for name, value in captioner.state_dict().items():
        assert torch.equal(value, blip.captioner.state_dict()[name]), name
    tower = captioner.vision_model.state_dict()
    assert all(torch.equal(v, tower[k]) for k, v in retrieval.vision_model.state_dict().items())


def test_without_its_stem_the_plain_models_refuse_a_picture(folder: Path, blip: Blip):
    plain = BlipForConditionalGeneration.from_pretrained(folder / "captioner")
    pixels = blip.checkpoint.pixels(torch.from_numpy(IMAGES))
    with pytest.raises((RuntimeError, ValueError)):
        plain.generate(pixel_values=pixels, max_length=4)
    seen = BlipStem.from_pretrained(folder / "stem")(pixels)
    written = plain.generate(pixel_values=seen, max_length=10, do_sample=False)
    said = blip.tokenizer.batch_decode(written[:, 1:], skip_special_tokens=True)
    assert [line.strip() for line in said] == blip.caption(IMAGES)


def test_a_blip_whose_stem_is_lost_is_refused_in_one_line(tmp_path: Path):
    build().save(tmp_path / "blip")
    (tmp_path / "blip/manifest.json").unlink()
    shutil.rmtree(tmp_path / "blip/stem")
    for loads in (Blip, BlipReader):
        with pytest.raises(UserError, match="blip/stem: no such folder"):
            loads.from_pretrained(tmp_path / "blip")


def test_a_tower_may_see_pixels_and_then_has_no_stem(tmp_path: Path):
    build(stem_channel=0, patch_size=4).save(tmp_path / "blip")
    assert not (tmp_path / "blip/stem").exists()
    blip = Blip.from_pretrained(tmp_path / "blip")
    assert blip.image_size == 16
    assert blip.embed_images(IMAGES).shape == (3, 12)


def test_saving_twice_gives_the_same_bytes(folder: Path, tmp_path: Path):
    build().save(tmp_path / "again")
    files = sorted(p.relative_to(folder) for p in folder.rglob("*") if p.is_file())
    assert len(files) >= 8
    for file in files:
        assert (folder / file).read_bytes() == (tmp_path / "again" / file).read_bytes(), file


def test_hugging_faces_processor_feeds_the_models_as_we_do(folder: Path, blip: Blip):
    processor = BlipProcessor.from_pretrained(folder / "retrieval")
    theirs = processor(images=list(IMAGES), text=TEXTS, padding=True, return_tensors="pt")
    torch.testing.assert_close(
        theirs["pixel_values"], blip.checkpoint.pixels(torch.from_numpy(IMAGES)), atol=1e-5, rtol=0
    )
    ours, present = padded(token_ids(blip.tokenizer, TEXTS), pad=blip.tokenizer.pad_token_id)
    assert torch.equal(theirs["input_ids"], ours)
    assert torch.equal(theirs["attention_mask"].bool(), present)


def test_matching_begins_the_text_with_enc(blip: Blip):
    ids, present = padded(token_ids(blip.tokenizer, TEXTS), pad=blip.tokenizer.pad_token_id)
    ids[:, 0] = blip.tokenizer.convert_tokens_to_ids("[ENC]")
    with torch.no_grad():
        theirs = blip.retrieval(
            input_ids=ids,
            attention_mask=present.long(),
            pixel_values=blip.stem(blip.checkpoint.pixels(torch.from_numpy(IMAGES))),
        ).itm_score.softmax(dim=1)[:, 1]
    np.testing.assert_allclose(blip.match(IMAGES, TEXTS), theirs.numpy(), atol=1e-5)


def test_embeddings_are_those_of_hugging_faces_contrast(blip: Blip):
    images, texts = blip.embed_images(IMAGES), blip.embed_texts(TEXTS)
    ids, present = padded(token_ids(blip.tokenizer, TEXTS), pad=blip.tokenizer.pad_token_id)
    with torch.no_grad():
        theirs = blip.retrieval(
            input_ids=ids,
            attention_mask=present.long(),
            pixel_values=blip.stem(blip.checkpoint.pixels(torch.from_numpy(IMAGES))),
            use_itm_head=False,
        ).itm_score
    np.testing.assert_allclose(images @ texts.pooled.numpy().T, theirs.numpy(), atol=1e-5)
    assert images.shape == (3, 12)
    assert images.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(images, axis=1), 1, atol=1e-5)
    assert texts.tokens.shape == (3, ids.shape[1], 32)
    assert torch.equal(texts.mask, present)
    assert not texts.tokens[~texts.mask].any()


def test_answers_stand_in_the_order_of_the_questions(blip: Blip):
    order = [2, 0, 1]
    texts = [TEXTS[i] for i in order]
    np.testing.assert_allclose(
        blip.match(IMAGES[order], texts), blip.match(IMAGES, TEXTS)[order], atol=1e-6
    )
    torch.testing.assert_close(
        blip.embed_texts(texts).pooled, blip.embed_texts(TEXTS).pooled[order]
    )
    alone = blip.embed_texts(TEXTS[2:])
    length = int(alone.mask.sum())
    torch.testing.assert_close(
        alone.tokens[0], blip.embed_texts(TEXTS).tokens[2, :length], atol=1e-5, rtol=1e-5
    )


def test_nothing_asked_nothing_answered(blip: Blip):
    none = np.zeros((0, 16, 16, 3), np.uint8)
    assert blip.embed_images(none).shape == (0, 12)
    assert blip.match(none, []).shape == (0,)
    assert blip.caption(none) == []
    assert blip.embed_texts([]).pooled.shape == (0, 12)


def test_pictures_of_another_size_are_resized(blip: Blip):
    large = IMAGES.repeat(4, axis=1).repeat(4, axis=2)
    np.testing.assert_allclose(blip.embed_images(large), blip.embed_images(IMAGES), atol=0.1)


@pytest.mark.parametrize("beams", [1, 3])
def test_captions_are_the_same_every_time_and_no_longer_than_allowed(blip: Blip, beams: int):
    blip.checkpoint.set_search(max_length=6, num_beams=beams)
    captions = blip.caption(IMAGES)
    assert captions == blip.caption(IMAGES)
    assert len(captions) == 3
    for caption in captions:
        assert len(caption.split()) <= 5
        assert "[" not in caption
    blip.checkpoint.set_search(max_length=10, num_beams=1)


def test_how_captions_are_looked_for_is_saved_with_the_captioner(tmp_path: Path):
    build(num_beams=3, caption_max_length=7).save(tmp_path / "blip")
    search = Blip.from_pretrained(tmp_path / "blip").captioner.generation_config
    assert (search.num_beams, search.max_length) == (3, 7)


def test_prompts_that_cannot_be_painted_are_refused_in_one_line(blip: Blip):
    blip.check_prompts(["A red square", "blue"])
    for prompt, said in [
        ("  ", "prompt 2 is empty"),
        ("red " * 20, "22 tokens, the text model takes at most 16"),
        ("日本 画", "knows no word"),
    ]:
        with pytest.raises(UserError, match=said) as caught:
            blip.check_prompts(["A red square", prompt])
        assert "\n" not in str(caught.value)


def test_a_folder_that_is_no_blip_is_refused_in_one_line(folder: Path, tmp_path: Path):
    def copy(name: str) -> Path:
        build().save(tmp_path / name)
        return tmp_path / name

    def unsealed(name: str) -> Path:
        (copy(name) / "manifest.json").unlink()
        return tmp_path / name

    def cut(folder: Path) -> Path:
        weights = folder / "captioner" / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-100])
        return folder

    swapped = unsealed("swapped")
    (swapped / "captioner/model.safetensors").write_bytes(
        (swapped / "retrieval/model.safetensors").read_bytes()
    )
    unfed = unsealed("unfed")
    (unfed / "retrieval/preprocessor_config.json").unlink()
    other = unsealed("other")
    build(image_size=24).save(tmp_path / "larger")
    (other / "captioner").rename(tmp_path / "old")
    (tmp_path / "larger/captioner").rename(other / "captioner")
    for path, said in [
        (tmp_path / "missing", "no such"),
        (cut(copy("damaged")), "captioner/model.safetensors: damaged"),
        (cut(unsealed("foreign")), "no checkpoint of BlipForConditionalGeneration"),
        (swapped, "it lacks text_decoder"),
        (unfed, "no such file"),
        (other, "24"),
    ]:
        with pytest.raises(UserError, match=said) as caught:
            Blip.from_pretrained(path)
        assert "\n" not in str(caught.value)


def test_patches_know_where_they_are_from_the_start():
    places = grid_positions(4, 32)
    assert places.shape == (1, 17, 32)
    assert float(places.abs().max()) <= 1
    distances = torch.cdist(places[0, 1:], places[0, 1:])
    assert float((distances + 9 * torch.eye(16)).min()) > 0.1


@pytest.mark.skipif(
    not VOCABULARY.exists(), reason="needs ../shared/pretrained (BERT's vocabulary)"
)
def test_a_checkpoint_of_full_width_from_hugging_face_goes_the_same_road(tmp_path: Path):
    """Two of the twelve layers; benchmarks/blip_full_size.py has them all."""
    write_like_salesforce(tmp_path / "blip", layers=2)
    blip = Blip.from_pretrained(tmp_path / "blip")
    assert blip.checkpoint.encode_id == 30523
    assert blip.checkpoint.decode_id == 30522
    assert blip.image_size == 384
    assert blip.embed_images(IMAGES[:1]).shape == (1, 256)
    texts = blip.embed_texts(TEXTS)
    assert texts.tokens.shape[2] == 768
    assert blip.match(IMAGES[:1], TEXTS[:1]).shape == (1,)
    blip.checkpoint.set_search(max_length=4, num_beams=1)
    assert len(blip.caption(IMAGES[:1])) == 1


@pytest.mark.parametrize("stem_channel", [0, 4])
def test_the_size_of_its_pictures_is_read_without_loading_it(tmp_path: Path, stem_channel: int):
    checkpoint = build(stem_channel=stem_channel)
    checkpoint.save(tmp_path / "blip")
    assert picture_size(tmp_path / "blip") == checkpoint.image_size == 16
    assert picture_size(tmp_path) is None
    (tmp_path / "blip" / "retrieval" / "config.json").write_text("{}")
    with pytest.raises(UserError, match=r"config\.json: does not say how large pictures are"):
        picture_size(tmp_path / "blip")


def write_like_salesforce(path: Path, *, layers: int) -> None:
    """Random weights and BERT's own tokenizer, which knows neither [DEC] nor [ENC]."""
    from transformers import BlipConfig

    sizes = {"num_hidden_layers": layers, "initializer_range": 0.02}
    config = BlipConfig(text_config={**sizes, "num_attention_heads": 12}, vision_config=dict(sizes))
    tokenizer = BertTokenizer(str(VOCABULARY), model_max_length=512)
    torch.manual_seed(0)
    BlipCheckpoint(
        BlipForImageTextRetrieval(config),
        BlipForConditionalGeneration(config),
        tokenizer,
        CLIP_MEAN,
        CLIP_STD,
    ).save(path)


def test_a_tower_from_scratch_begins_with_keys_that_are_its_queries():
    for layer in build(vision_layers=2).retrieval.vision_model.encoder.layers:
        queries, keys, values = layer.self_attn.qkv.weight.chunk(3)
        assert torch.equal(queries, keys)
        assert not torch.equal(queries, values)

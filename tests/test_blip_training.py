"""BLIP's training: what it is told, what it skips, that it learns and goes on after a kill."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from blips import SETTINGS, build, learn, pixels_of, settings, write_pairs_and_pictures
from pydantic import ValidationError

from pipeline.data.pairs import Pair
from pipeline.errors import UserError
from pipeline.models.blip import Blip
from pipeline.training.blip import BlipObjectives, BlipTask
from pipeline.training.blip_data import Matches, repeated
from pipeline.training.blip_thresholds import choose_thresholds


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    write_pairs_and_pictures(folder, of_each=3)
    write_pairs_and_pictures(folder, of_each=1, split="val")
    return folder


@pytest.fixture(scope="module")
def pairs(images: Path) -> list[Pair]:
    return write_pairs_and_pictures(images, of_each=3)


def load(pairs: list[Pair], images: Path) -> Matches:
    blip = build()
    return Matches.load(pairs, "train", pixels=pixels_of(images), tokenizer=blip.tokenizer)


def task(pairs: list[Pair], images: Path, **changes) -> BlipTask:
    blip = build(pairs, **changes)
    both = [*pairs, *write_pairs_and_pictures(images, of_each=1, split="val")]
    train, val = (
        Matches.load(both, split, pixels=pixels_of(images), tokenizer=blip.tokenizer)
        for split in ("train", "val")
    )
    return BlipTask(blip, train, val, settings(**changes))


def test_captions_belong_to_every_picture_that_bears_them(pairs, images):
    matches = load(pairs, images)
    assert len(matches) == 18
    assert len(matches.captions) == 6
    pictures, captions = matches.captions_of.draw(torch.arange(18))
    belong = matches.matching(pictures, captions)
    assert torch.equal(belong, captions[:, None] == captions)
    assert int(belong.sum()) == 18 * 3


def test_several_texts_of_a_picture_all_belong_to_it_and_are_drawn_in_turn(pairs, images):
    twice = [*pairs, dataclasses.replace(pairs[0], id=99, caption="Something red")]
    matches = load(twice, images)
    torch.manual_seed(0)
    drawn = {int(matches.captions_of.draw(torch.tensor([0]))[1]) for _ in range(40)}
    assert len(drawn) == 2
    assert matches.matching(torch.tensor([0]), torch.tensor(sorted(drawn))).all()
    assert not matches.matching(torch.tensor([6]), torch.arange(7)).all()


def test_a_picture_without_a_caption_still_tells_what_it_does_not_match(pairs, images):
    silent = [
        dataclasses.replace(pair, caption="" if pair.match == "NO" else pair.caption)
        for pair in pairs
    ]
    matches = load(silent, images)
    places, rows = matches.captions_of.draw(torch.arange(18))
    assert len(places) == len(rows) == 9
    told, passages = matches.passages_of.draw(torch.arange(18))
    assert len(told) == 18
    assert int(matches.is_match[passages].sum()) == 9


def test_passages_count_only_where_some_do_not_match(pairs, images):
    assert len(load(pairs, images).passages) == 18
    always = [dataclasses.replace(pair, match="YES") for pair in pairs]
    assert len(load(always, images).passages) == 0


def test_pictures_of_rare_things_come_several_times_in_an_epoch_and_no_picture_is_left_out():
    labels = torch.tensor([0] * 90 + [1] * 9 + [2] + [-1] * 4)
    shown = repeated(labels, below=0.5)
    times = torch.bincount(shown)
    assert times[:90].tolist() == [1] * 90
    assert 2 <= float(times[90:99].float().mean()) <= 3
    assert int(times[99]) >= 6
    assert times[100:].tolist() == [1] * 4
    assert torch.equal(shown, repeated(labels, below=0.5))
    assert torch.equal(repeated(labels, below=0.0), torch.arange(104))


def test_a_split_without_captions_is_refused(pairs, images):
    mute = [dataclasses.replace(pair, caption="") for pair in pairs]
    with pytest.raises(UserError, match="train split has a caption"):
        load(mute, images)


@pytest.mark.parametrize("rows", [[4], [0, 6, 12]])  # one picture; three of one caption
def test_a_batch_with_nothing_to_tell_apart_skips_matching_and_goes_on(pairs, images, rows):
    always = [dataclasses.replace(pair, match="YES") for pair in pairs]
    trained = task(always, images)
    loss, figures = trained.loss(trained.model.train(), torch.tensor(rows))
    assert float(figures["itm_skipped"]) == 1
    assert float(figures["itm"]) == 0
    loss.backward()
    assert torch.isfinite(loss)
    assert all(
        torch.isfinite(p.grad).all() for p in trained.model.parameters() if p.grad is not None
    )


def test_a_batch_of_uncaptioned_pictures_learns_from_their_passages_alone(pairs, images):
    silent = [dataclasses.replace(p, caption="" if p.id < 4 else p.caption) for p in pairs]
    trained = task(silent, images)
    loss, figures = trained.loss(trained.model.train(), torch.tensor([0, 1, 2]))
    loss.backward()
    assert torch.isfinite(loss)
    assert figures["itm"] > 0
    assert figures["itc"] == figures["lm"] == 0


def test_the_temperature_stays_within_its_bounds(pairs, images):
    trained = task(pairs, images)
    for start, kept in [(9.0, 0.5), (-1.0, 0.001)]:
        with torch.no_grad():
            trained.objectives.temperature.fill_(start)
        _, figures = trained.loss(trained.model, torch.arange(4))
        assert float(figures["temperature"]) == pytest.approx(kept)


def test_from_scratch_both_models_share_one_vision_tower():
    blip = build()
    assert blip.captioner.vision_model is blip.retrieval.vision_model
    names = [name for name, _ in BlipObjectives(blip, settings()).named_parameters()]
    assert not any(name.startswith("captioner.vision_model") for name in names)
    decoder = blip.captioner.text_decoder
    assert decoder.cls.predictions.decoder.weight is decoder.bert.embeddings.word_embeddings.weight
    assert decoder.bert.embeddings is blip.retrieval.text_encoder.embeddings


def test_it_learns_to_tell_and_to_say_what_is_in_a_picture(tmp_path):
    images = tmp_path / "images"
    pairs, val = (
        write_pairs_and_pictures(images, of_each=of_each, split=split, places=["left"])
        for of_each, split in ((8, "train"), (2, "val"))
    )
    steps = {"steps": 210, "validate_every": 70, "batch_size": 12}
    wanted = settings(**steps, text_layers=2, passage_share=0.25)
    blip = wanted.start(pairs, pretrained=tmp_path / "nothing")
    train_matches, val_matches = (
        Matches.load([*pairs, *val], split, pixels=pixels_of(images), tokenizer=blip.tokenizer)
        for split in ("train", "val")
    )
    learning = BlipTask(blip, train_matches, val_matches, wanted)
    curve = learn(learning, saved=tmp_path / "saved", seed=1)
    assert curve[-1]["val_loss"] < curve[0]["val_loss"]
    blip.save(tmp_path / "blip")
    loaded = Blip.from_pretrained(tmp_path / "blip")
    pixels = pixels_of(images)
    pictures = pixels[pixels.rows(pair.image for pair in val)]
    captions = [pair.caption for pair in val]
    assert loaded.caption(pictures) == [caption.lower() for caption in captions]
    assert (loaded.match(pictures, captions) > 0.5).all()
    assert (loaded.match(pictures, captions[1:] + captions[:1]) < 0.5).all()
    likely = np.stack([loaded.likelihoods(pictures, caption) for caption in captions])
    assert (likely.argmax(axis=1) % 3 == np.arange(6) % 3).all()
    similarity = loaded.embed_images(pictures) @ loaded.embed_texts(captions).pooled.numpy().T
    assert (similarity.argmax(axis=1) % 3 == np.arange(6) % 3).all()


def test_it_can_learn_to_say_what_is_true_of_more_pictures(tmp_path):
    pairs = write_pairs_and_pictures(tmp_path / "images", of_each=8, places=["left"])
    for number in range(3):
        short = pairs[number].caption.removesuffix(" on the left")
        pairs[number] = dataclasses.replace(pairs[number], caption=short)
    val = [dataclasses.replace(pair, split="val") for pair in pairs[:3]]
    wanted = settings(steps=210, validate_every=70, batch_size=12, text_layers=2, shorter_share=1.0)
    blip = wanted.start(pairs, pretrained=tmp_path / "nothing")
    pixels = pixels_of(tmp_path / "images")
    both = (
        Matches.load([*pairs, *val], split, pixels=pixels, tokenizer=blip.tokenizer)
        for split in ("train", "val")
    )
    learn(BlipTask(blip, *both, wanted), saved=tmp_path / "saved", seed=1)
    blip.save(tmp_path / "blip")
    told = Blip.from_pretrained(tmp_path / "blip").caption(
        pixels[pixels.rows(pair.image for pair in pairs[3:9])]
    )
    assert told == [f"a {pair.main_object} square" for pair in pairs[3:9]]


def test_a_run_killed_and_continued_ends_in_the_same_bytes(pairs, images, tmp_path):
    def run(name: str, stop_at: int | None) -> BlipTask:
        trained = task(pairs, images, validate_every=1, rest_after=1, steps=6, dropout=0.1)
        done = 0
        losing = trained.loss

        def loss(model, rows):
            nonlocal done
            done += 1
            if stop_at is not None and done > stop_at:
                raise KeyboardInterrupt
            return losing(model, rows)

        trained.loss = loss  # type: ignore[method-assign]
        learn(trained, saved=tmp_path / name, seed=1)
        return trained

    whole = run("whole", None)
    assert whole.resting
    with pytest.raises(KeyboardInterrupt):
        run("killed", 3)
    continued = run("killed", None)
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, continued.model.state_dict()[name]), name


def test_a_checkpoint_is_trained_on_with_a_vision_tower_for_each_model(
    pairs, images, tmp_path, capsys
):
    build(pairs, vision_layers=2).save(tmp_path / "pretrained")
    wanted = settings(vision_layers=1, max_text_length=12, caption_max_length=9)
    blip = wanted.start(pairs, pretrained=tmp_path / "pretrained")
    assert "own sizes count" in capsys.readouterr().err
    assert len(blip.retrieval.vision_model.encoder.layers) == 2
    assert blip.tokenizer.model_max_length == 12
    assert blip.captioner.vision_model is not blip.retrieval.vision_model
    train = Matches.load(pairs, "train", pixels=pixels_of(images), tokenizer=blip.tokenizer)
    trained = BlipTask(blip, train, train, wanted)
    loss, _ = trained.loss(trained.model.train(), torch.arange(6))
    loss.backward()
    for model in (blip.retrieval, blip.captioner):
        assert float(model.vision_model.embeddings.patch_embedding.weight.grad.abs().sum()) > 0
    assert all(float(p.grad.abs().sum()) > 0 for p in blip.stem.parameters())


def test_muon_moves_what_multiplies_features_or_nothing(pairs, images):
    names = set(task(pairs, images).by_muon())
    of = {name.split(".")[0] for name in names}
    assert of == {"stem", "retrieval", "captioner"}
    assert not {name for name in names if "word_embeddings" in name or "itm_head" in name}
    assert task(pairs, images, muon=False).by_muon() == []


def test_a_checkpoints_lower_layers_move_less_and_it_keeps_its_thresholds(pairs, images, tmp_path):
    build(pairs, vision_layers=2).save(tmp_path / "pretrained")
    wanted = settings(
        layer_decay=0.5, steps=1, warmup_steps=0, ema_decay=0.0, dropout=0.2, muon=False
    )
    blip = wanted.start(pairs, pretrained=tmp_path / "pretrained")
    train = Matches.load(pairs, "train", pixels=pixels_of(images), tokenizer=blip.tokenizer)
    trained = BlipTask(blip, train, train, wanted)
    layers = blip.retrieval.vision_model.encoder.layers
    before = [layer.mlp.fc1.weight.detach().clone() for layer in layers]
    learn(trained, saved=tmp_path / "saved", seed=1)
    moved = [
        float((layer.mlp.fc1.weight.detach() - old).abs().median())
        for layer, old in zip(layers, before, strict=True)
    ]
    assert moved[0] == pytest.approx(moved[1] / 2, rel=0.1)
    thresholds = choose_thresholds(trained)
    dataclasses.replace(blip, thresholds=thresholds).save(tmp_path / "tuned")
    assert Blip.from_pretrained(tmp_path / "tuned").thresholds.captions == pytest.approx(
        thresholds.captions, abs=1e-5
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"patch_size": 7}, "multiple of patch_size"),
        ({"patch_size": 4}, "patch_size = 4: expected a multiple of 8, as stem_channel = 4"),
        ({"heads": 3}, "multiple of heads"),
        ({"caption_max_length": 17}, "at most max_text_length"),
        ({"views": {**SETTINGS["views"], "max_shift": 16}}, "less than image_size"),
        ({"negatives": dict.fromkeys(SETTINGS["negatives"], 0.0)}, "expected one above"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(change, said):
    with pytest.raises(ValidationError, match=said):
        settings(**change)
    assert set(SETTINGS) == set(type(settings()).model_fields)

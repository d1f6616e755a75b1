"""evaluate: everything above → metrics, plots, pictures and a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from PIL import Image

from pipeline.codes import CodeStore
from pipeline.codes.encode import store_rows
from pipeline.data.captioned import PaintedTexts
from pipeline.data.embeddings import ImageEmbeddings, TextEmbeddings
from pipeline.data.pairs import Pair, captioned, read_pairs
from pipeline.data.views import to_uint8
from pipeline.devices import best_device
from pipeline.evaluation.blas import claim_buffers
from pipeline.evaluation.blip_scores import blip_scores
from pipeline.evaluation.drawings import draw_generated, draw_latents, draw_reconstructions
from pipeline.evaluation.generation_scores import Gallery, generation_scores
from pipeline.evaluation.labels import LabelClassifier, common_labels
from pipeline.evaluation.perceptual import find_lpips
from pipeline.evaluation.prior_scores import prior_scores
from pipeline.evaluation.report import report
from pipeline.evaluation.scores import Scores
from pipeline.evaluation.settings import EvaluateSettings
from pipeline.evaluation.vqvae_scores import decoded, latent_vectors, vqvae_scores
from pipeline.files import replacing, write_json
from pipeline.models.blip import Blip
from pipeline.models.prior import Prior
from pipeline.models.vqvae import VQVAE
from pipeline.params import SEED, load_section
from pipeline.progress import say
from pipeline.provenance import provenance
from pipeline.sealing import check_folder
from pipeline.training.pixelsnail import coded_levels
from stages import layout


@dataclass(frozen=True)
class Inputs:
    """What the stages before made."""

    pairs: list[Pair]  # the captioned ones, in the code store's order
    texts: TextEmbeddings
    blip: Blip
    vqvae: VQVAE
    codes: torch.Tensor  # (records, h, w), the store's
    shown: torch.Tensor  # (records,), the pair of each record

    def of(self, split: str) -> torch.Tensor:
        """The store's records of a split's pictures as they are (in the first view)."""
        rows = [i for i, pair in enumerate(self.pairs) if pair.split == split]
        return torch.tensor(rows, dtype=torch.int64)

    def painted(self, rows: torch.Tensor) -> PaintedTexts:
        """The pictures of first-view records, beside their texts' embeddings."""
        pairs = [self.pairs[row] for row in rows.tolist()]
        size = self.vqvae.config.image_size
        return PaintedTexts.load(pairs, self.texts, images=layout.IMAGES, image_size=size)


def main() -> None:
    """Run the stage."""
    settings = load_section(layout.PARAMS, "evaluate", EvaluateSettings)
    seed = load_section(layout.PARAMS, "seed", SEED)
    claim_buffers()
    inputs = _load()
    test = inputs.of("test")
    painted = inputs.painted(test)

    say("judging BLIP")
    every = {
        "blip": blip_scores(
            inputs.blip,
            [pair for pair in read_pairs(layout.PAIRS) if pair.split == "test"],
            images=layout.IMAGES,
            image_embeds=ImageEmbeddings.load(layout.IMAGE_EMBEDDINGS),
            text_embeds=inputs.texts,
            threshold=settings.match_threshold,
            seed=seed,
        )
    }
    say("judging the VQ-VAE")
    test_pairs = [inputs.pairs[row] for row in test.tolist()]
    captions = [pair.caption for pair in test_pairs]
    every["vqvae"] = vqvae_scores(
        inputs.vqvae, painted, captions, codes=inputs.codes[test], seed=seed
    )
    reconstructed = decoded(inputs.vqvae, inputs.codes[test], painted.text_embeds)
    every["vqvae"].left_out |= draw_latents(
        latent_vectors(inputs.vqvae, inputs.codes[test]).numpy(),
        [_label(pair) for pair in test_pairs],
        tables=layout.LATENTS,
        pictures=layout.PICTURES,
        seed=seed,
    )

    say("judging the prior")
    levels = coded_levels(
        inputs.codes,
        level_shapes=inputs.vqvae.level_shapes,
        texts=inputs.texts.rows([pair.caption for pair in inputs.pairs])[inputs.shown],
        condition=inputs.texts.condition(),
    )
    every["pixelsnail"] = prior_scores(
        Prior.from_pretrained(layout.PIXELSNAIL).to(best_device()),
        levels,
        train=inputs.of("train"),
        test=test,
        n_embed=inputs.vqvae.config.n_embed,
        seed=seed,
    )
    say("judging the generated pictures")
    every["generation"] = _judge_generated(
        inputs, painted, test_pairs, to_uint8(reconstructed).numpy(), settings, seed=seed
    )
    shown = slice(0, settings.shown // 2)
    draw_reconstructions(
        painted.images[shown].numpy(), to_uint8(reconstructed[shown]).numpy(), layout.PICTURES
    )
    _write(every)


def _load() -> Inputs:
    for folder in (layout.GENERATED, layout.PRETRAINED / "lpips", layout.PRETRAINED / "wordnet"):
        check_folder(folder)
    device = best_device()
    pairs = captioned(read_pairs(layout.PAIRS))
    with CodeStore.open(layout.CODES) as store:
        codes = torch.from_numpy(store.batch(range(len(store))).astype("int64"))
    return Inputs(
        pairs=pairs,
        texts=TextEmbeddings.load(layout.TEXT_EMBEDDINGS),
        blip=Blip.from_pretrained(layout.BLIP).to(device),
        vqvae=VQVAE.from_pretrained(layout.VQVAE).to(device),
        codes=codes,
        shown=store_rows(pairs, records=len(codes)),
    )


def _judge_generated(
    inputs: Inputs,
    painted: PaintedTexts,
    test_pairs: Sequence[Pair],
    reconstructed: np.ndarray,
    settings: EvaluateSettings,
    *,
    seed: int,
) -> Scores:
    index = pd.read_csv(layout.GENERATED / "index.csv", keep_default_na=False)
    index = index[index["test"]]
    at = {pair.caption: i for i, pair in reversed(list(enumerate(test_pairs)))}
    rows = [at[prompt] for prompt in index["prompt"]]
    gallery = Gallery(
        prompts=list(index["prompt"]),
        labels=[_label(test_pairs[row]) for row in rows],
        images={
            "generated": _read(index["file"]),
            "first": _read(index["first"]),
            "reconstructed": reconstructed[rows],
            "real": painted.images[rows].numpy(),
        },
    )
    train = inputs.of("train")
    training = inputs.painted(train).images.numpy()
    embeds = inputs.blip.embed_images(training)
    labels = [_label(inputs.pairs[row]) for row in train.tolist()]

    def classifier() -> LabelClassifier:
        kept = common_labels(labels, at_least=settings.pictures_per_label, at_most=settings.labels)
        return LabelClassifier.fit(embeds, labels, kept, seed=seed)

    wordnet = layout.PRETRAINED / "wordnet"
    scores, captions, nearest = generation_scores(
        inputs.blip,
        gallery,
        training=training,
        training_embeds=embeds,
        classifier=classifier,
        wordnet=wordnet if (wordnet / "corpora").exists() else None,
        lpips=find_lpips(layout.PRETRAINED / "lpips"),
        seed=seed,
    )
    draw_generated(gallery, training, nearest, layout.PICTURES, shown=settings.shown)
    with replacing(layout.CAPTIONS) as aside:
        table = pd.DataFrame({"prompt": gallery.prompts, "caption": captions["generated"]})
        table.to_csv(aside, sep="\t", index=False, lineterminator="\n")
    return scores


def _write(every: dict[str, Scores]) -> None:
    left_out: dict[str, str] = {}
    for name, scores in every.items():
        write_json(layout.METRICS / f"{name}.json", scores.values)
        left_out |= {f"{name}.{measure}": why for measure, why in scores.left_out.items()}
    for measure, why in sorted(left_out.items()):
        say(f"left out: {measure}: {why}")
    page = report({name: scores.values for name, scores in every.items()}, left_out)
    with replacing(layout.METRICS / "report.md") as aside:
        aside.write_text(page, encoding="utf-8")
    write_json(layout.METRICS / "provenance.json", provenance())


def _label(pair: Pair) -> str:
    return pair.labels[0] if pair.labels else ""


def _read(names: Sequence[str]) -> np.ndarray:
    return np.stack([np.asarray(Image.open(layout.GENERATED / name)) for name in names])

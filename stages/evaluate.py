"""evaluate: everything above → metrics, plots, pictures and a report."""

from __future__ import annotations

import pandas as pd
from pydantic import Field

from pipeline.codes.captioned import CaptionedCodes
from pipeline.data.captioned import CaptionedImages
from pipeline.data.embeddings import ImageEmbeddings, TextEmbeddings
from pipeline.data.pairs import captioned, read_pairs
from pipeline.data.views import to_uint8
from pipeline.devices import best_device
from pipeline.evaluation.blas import claim_buffers
from pipeline.evaluation.blip_scores import blip_scores
from pipeline.evaluation.drawings import draw_generated, draw_latents, draw_reconstructions
from pipeline.evaluation.gallery import Gallery
from pipeline.evaluation.generation_scores import BlipOpinion, Training, generation_scores
from pipeline.evaluation.memorising import nearest_training
from pipeline.evaluation.perceptual import find_lpips
from pipeline.evaluation.prior_scores import prior_scores
from pipeline.evaluation.report import report
from pipeline.evaluation.scores import Scores
from pipeline.evaluation.vqvae_scores import decoded, latent_vectors, vqvae_scores
from pipeline.files import replacing, write_json
from pipeline.models.blip import Blip
from pipeline.models.vqvae import VQVAE
from pipeline.params import SEED, Section, load_section
from pipeline.priors import load_prior
from pipeline.progress import say
from pipeline.provenance import provenance
from pipeline.sealing import check_folder
from stages import layout


class EvaluateSettings(Section):
    """The section `evaluate` of params.yaml."""

    match_threshold: float = Field(gt=0, lt=1)
    labels: int = Field(ge=2)
    pictures_per_label: int = Field(ge=1)
    grid_pictures: int = Field(ge=2)


def main() -> None:
    """Run the stage."""
    settings = load_section(layout.PARAMS, "evaluate", EvaluateSettings)
    seed = load_section(layout.PARAMS, "seed", SEED)
    claim_buffers()
    device = best_device()
    for folder in (layout.GENERATED, layout.LPIPS, layout.WORDNET):
        check_folder(folder)
    pairs = read_pairs(layout.PAIRS)
    texts = TextEmbeddings.load(layout.TEXT_EMBEDDINGS)
    blip = Blip.from_pretrained(layout.BLIP).to(device)
    vqvae = VQVAE.from_pretrained(layout.VQVAE).to(device)
    codes = CaptionedCodes.load(layout.CODES, captioned(pairs), texts)
    train, test = codes.of("train"), codes.of("test")
    train_pictures, test_pictures = (
        CaptionedImages.load(
            part.pairs, texts, images=layout.IMAGES, image_size=vqvae.config.image_size
        )
        for part in (train, test)
    )
    reconstructed = to_uint8(decoded(vqvae, test.codes, test_pictures.text_embeds)).numpy()
    real = test_pictures.images.numpy()

    say("judging BLIP")
    every = {
        "blip": blip_scores(
            blip,
            [pair for pair in pairs if pair.split == "test"],
            images=layout.IMAGES,
            image_embeds=ImageEmbeddings.load(layout.IMAGE_EMBEDDINGS),
            text_embeds=texts,
            threshold=settings.match_threshold,
            seed=seed,
        )
    }
    say("judging the VQ-VAE")
    captions = [pair.caption for pair in test.pairs]
    every["vqvae"] = vqvae_scores(vqvae, test_pictures, captions, codes=test.codes, seed=seed)
    every["vqvae"].left_out |= draw_latents(
        latent_vectors(vqvae, test.codes).numpy(),
        [pair.main_object for pair in test.pairs],
        tables=layout.LATENTS,
        pictures=layout.PICTURES,
        seed=seed,
    )
    half = settings.grid_pictures // 2
    draw_reconstructions(real[:half], reconstructed[:half], layout.PICTURES)

    say("judging the prior")
    every["pixelsnail"] = prior_scores(
        load_prior(layout.PIXELSNAIL).to(device),
        codes,
        device,
        level_shapes=vqvae.level_shapes,
        n_embed=vqvae.config.n_embed,
        seed=seed,
    )
    say("judging the generated pictures")
    gallery = Gallery.load(
        layout.GENERATED, test.pairs, real=real, reconstructed=reconstructed
    )
    opinion = BlipOpinion(blip, gallery, seed=seed)
    labels = [pair.main_object for pair in train.pairs]
    training = Training.of(train_pictures, labels, blip)
    nearest = nearest_training(gallery.images["generated"], training.images)
    every["generation"] = generation_scores(
        opinion,
        training,
        labels=settings.labels,
        pictures_per_label=settings.pictures_per_label,
        wordnet=layout.WORDNET if (layout.WORDNET / "corpora").exists() else None,
        lpips=find_lpips(layout.LPIPS),
        nearest=nearest,
        seed=seed,
    )
    draw_generated(
        gallery, training.images, nearest, layout.PICTURES, count=settings.grid_pictures
    )
    write(every, opinion)


def write(every: dict[str, Scores], opinion: BlipOpinion) -> None:
    """Write a metrics file for each part, the captions, the report, and what all was run with."""
    left_out: dict[str, str] = {}
    for name, scores in every.items():
        write_json(layout.METRICS / f"{name}.json", scores.values)
        left_out |= {f"{name}.{measure}": why for measure, why in scores.left_out.items()}
    for measure, why in sorted(left_out.items()):
        say(f"left out: {measure}: {why}")
    page = report({name: scores.values for name, scores in every.items()}, left_out)
    with replacing(layout.METRICS / "report.md") as aside:
        aside.write_text(page, encoding="utf-8")
    captions = {"prompt": opinion.gallery.prompts, "caption": opinion.captions["generated"]}
    with replacing(layout.CAPTIONS) as aside:
        pd.DataFrame(captions).to_csv(aside, sep="\t", index=False, lineterminator="\n")
    write_json(layout.METRICS / "provenance.json", provenance())

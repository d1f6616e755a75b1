"""evaluate: models and pictures of every stage before → metrics, plots, pictures and a report."""

from __future__ import annotations

from pipeline.data.embeddings import ImageEmbeddings, TextEmbeddings
from pipeline.data.pairs import read_pairs
from pipeline.data.pixels import Pixels
from pipeline.decoder import Decoder
from pipeline.devices import best_device
from pipeline.evaluation.blas import claim_buffers
from pipeline.evaluation.blip_opinion import BlipOpinion
from pipeline.evaluation.blip_scores import blip_scores
from pipeline.evaluation.drawings import draw, draw_captions
from pipeline.evaluation.exact_scores import exact_scores
from pipeline.evaluation.judged import Judged
from pipeline.evaluation.neutral_scores import find_space, neutral_scores
from pipeline.evaluation.perceptual import find_lpips
from pipeline.evaluation.pixel_scores import pixel_scores
from pipeline.evaluation.prior_scores import prior_scores
from pipeline.evaluation.settings import EvaluateSettings
from pipeline.evaluation.spread import Spread
from pipeline.evaluation.vqvae_scores import vqvae_scores
from pipeline.evaluation.writing import write_captions, write_scores
from pipeline.files import write_json
from pipeline.models.blip import Blip
from pipeline.params import SEED, load_section
from pipeline.priors import load_prior
from pipeline.progress import say
from pipeline.provenance import provenance
from pipeline.sealing import check_folder
from stages import layout


def main() -> None:
    """Run the stage."""
    settings = load_section(layout.PARAMS, "evaluate", EvaluateSettings)
    seed = load_section(layout.PARAMS, "seed", SEED)
    source = load_section(layout.PARAMS, "data.source", str)
    sample_size = load_section(layout.PARAMS, "data.sample.size", int)
    decoder_steps = load_section(layout.PARAMS, "generate.decoder_steps", int)
    steps = load_section(layout.PARAMS, "generate.steps", int)
    family = load_section(layout.PARAMS, "prior", layout.FAMILY)
    claim_buffers()
    for folder in (layout.GENERATED, layout.JUDGE, layout.LPIPS, layout.WORDNET):
        check_folder(folder)
    device = best_device()
    texts = TextEmbeddings.open(layout.TEXT_EMBEDDINGS)
    blip = Blip.from_pretrained(layout.BLIP).to(device)
    decoder = Decoder.from_pretrained(vqvae=layout.VQVAE, flow=layout.DECODER, device=device)
    judged = Judged.load(
        blip,
        decoder,
        read_pairs(layout.PAIRS),
        codes=layout.CODES,
        texts=texts,
        pixels=Pixels.open(layout.VQVAE_PIXELS, decoder.vqvae.config.image_size),
        generated=layout.GENERATED,
        decoder_steps=decoder_steps,
        sample_size=sample_size if source == "sample" else None,
        device=device,
        seed=seed,
    )
    prior = load_prior(layout.PRIORS[family]).to(device)
    lpips = find_lpips(layout.LPIPS)
    wordnet = layout.WORDNET if (layout.WORDNET / "corpora").exists() else None

    say("judging what the pictures show")
    judge, exact = exact_scores(layout.JUDGE, judged, seed=seed)
    space = find_space(lpips, judge)
    pixels, nearest = pixel_scores(
        space,
        judged,
        labels=settings.labels,
        pictures_per_label=settings.pictures_per_label,
        seed=seed,
    )
    neutral = neutral_scores(space, lpips, judged, seed=seed)
    say("judging the decoders and the prior")
    coding = vqvae_scores(judged, seed=seed)
    bits = prior_scores(
        prior, judged, steps=steps, mixture_pictures=settings.mixture_pictures, seed=seed
    )
    say("asking BLIP")
    opinion = BlipOpinion(judged, seed=seed)
    asked = blip_scores(
        opinion,
        judged,
        pixels=Pixels.open(layout.BLIP_PIXELS, blip.image_size),
        image_embeds=ImageEmbeddings.open(layout.IMAGE_EMBEDDINGS),
        text_embeds=texts,
        wordnet=wordnet,
        labels=settings.labels,
        pictures_per_label=settings.pictures_per_label,
        seed=seed,
    )
    coding.left_out |= judged.left_out
    coding.left_out |= draw(
        judged,
        nearest,
        count=settings.grid_pictures,
        pictures=layout.PICTURES,
        tables=layout.LATENTS,
        seed=seed,
    )
    draw_captions(judged.references.real, judged.prompts, opinion.captions["real"], layout.PICTURES)
    every = {
        "exact": exact,
        "pixels": pixels,
        "neutral": neutral,
        "vqvae": coding,
        "prior": bits,
        "blip": asked,
    }
    write_scores(every, layout.METRICS, space=space, spread=Spread.load(layout.SPREAD))
    write_captions(layout.CAPTIONS, judged.prompts, opinion.captions["unranked"])
    write_json(layout.METRICS / "provenance.json", provenance())

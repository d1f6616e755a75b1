"""evaluate: models and pictures of every stage before → metrics, plots, pictures and a report.

All that it measures, it measures in one program, which every process at it runs alike (see
`pipeline.evaluation.maps`); one of them then writes what came of it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.data.embeddings import ImageEmbeddings, TextEmbeddings
from pipeline.data.pairs import read_pairs
from pipeline.data.pixels import Pixels
from pipeline.decoder import Decoder
from pipeline.devices import own_device
from pipeline.evaluation.blas import claim_buffers
from pipeline.evaluation.blip_opinion import BlipOpinion
from pipeline.evaluation.blip_scores import blip_scores
from pipeline.evaluation.copies import Nearest
from pipeline.evaluation.drawings import draw, draw_captions
from pipeline.evaluation.exact_scores import exact_scores
from pipeline.evaluation.features import FeatureSpace
from pipeline.evaluation.judged import Judged
from pipeline.evaluation.maps import Maps
from pipeline.evaluation.neutral_scores import find_space, neutral_scores
from pipeline.evaluation.perceptual import find_lpips
from pipeline.evaluation.pixel_scores import pixel_scores
from pipeline.evaluation.prior_scores import prior_scores
from pipeline.evaluation.scores import Scores
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
from pipeline.sampling_settings import DetailSettings
from pipeline.sealing import check_folder
from pipeline.shares import Over, never
from stages import layout
from stages.runs import run_folder
from stages.sharing import do_together


def main() -> None:
    """Run the stage."""
    settings = load_section(layout.PARAMS, "evaluate", EvaluateSettings)
    seed = load_section(layout.PARAMS, "seed", SEED)
    claim_buffers()
    for folder in (layout.GENERATED, layout.JUDGE, layout.LPIPS, layout.WORDNET):
        check_folder(folder)
    folder = run_folder("evaluate")
    judging = Judging(folder, lambda maps: judge(settings, maps, seed=seed))
    do_together("evaluate", folder, judging, put_together=lambda f: write(f, settings, seed=seed))


@dataclass(frozen=True)
class Findings:
    """What came of judging.

    Attributes:
        space: the neutral one; None for none.
        nearest: the training picture nearest to each of the first draws; None: not looked for.
        captions: what BLIP says of each group's pictures.
        scores: the figures of each part.
    """

    judged: Judged
    space: FeatureSpace | None
    nearest: Nearest | None
    captions: Mapping[str, list[str]]
    scores: Mapping[str, Scores]


@dataclass
class Judging:
    """The work of a run, as `do_together` asks for it; who has helped knows all already."""

    folder: Path
    judge: Callable[[Maps], Findings]
    _found: Findings | None = field(default=None, init=False)

    def help(self, *, is_over: Callable[[], bool]) -> None:
        """Judge with the others; once is enough, for none leaves before the last share."""
        if self._found is None:
            with contextlib.suppress(Over):
                self._found = self.judge(Maps(self.folder, is_over))

    def gather(self) -> Findings:
        """Judge, or read what was judged."""
        return self._found or self.judge(Maps(self.folder, never))


def judge(settings: EvaluateSettings, maps: Maps, *, seed: int) -> Findings:
    """Judge the models and pictures of this folder."""
    source = load_section(layout.PARAMS, "data.source", str)
    sample_size = load_section(layout.PARAMS, "data.sample.size", int)
    detail = DetailSettings(
        decoder_steps=load_section(layout.PARAMS, "generate.decoder_steps", int),
        decoder_guidance=load_section(layout.PARAMS, "generate.decoder_guidance", float),
    )
    steps = load_section(layout.PARAMS, "generate.steps", int)
    family = load_section(layout.PARAMS, "prior", layout.FAMILY)
    device = own_device()
    texts = TextEmbeddings.open(layout.TEXT_EMBEDDINGS)
    blip = Blip.from_pretrained(layout.BLIP).to(device)
    decoder = Decoder.from_pretrained(vqvae=layout.VQVAE, flow=layout.DECODER, device=device)
    judged = Judged.load(
        blip,
        decoder,
        read_pairs(layout.PAIRS),
        maps=maps,
        codes=layout.CODES,
        texts=texts,
        pixels=Pixels.open(layout.VQVAE_PIXELS, decoder.vqvae.config.image_size),
        generated=layout.GENERATED,
        detail=detail,
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
    scores = {
        "exact": exact,
        "pixels": pixels,
        "neutral": neutral,
        "vqvae": coding,
        "prior": bits,
        "blip": asked,
    }
    return Findings(judged, space, nearest, opinion.captions, scores)


def write(found: Findings, settings: EvaluateSettings, *, seed: int) -> None:
    """Write the metrics, the pictures and the report."""
    judged, captions = found.judged, found.captions
    undrawn = draw(
        judged,
        found.nearest,
        count=settings.grid_pictures,
        pictures=layout.PICTURES,
        tables=layout.LATENTS,
        seed=seed,
    )
    draw_captions(judged.references.real, judged.prompts, captions["real"], layout.PICTURES)
    write_scores(
        found.scores,
        layout.METRICS,
        space=found.space,
        spread=Spread.load(layout.SPREAD),
        left_out=judged.left_out | undrawn,
    )
    write_captions(layout.CAPTIONS, judged.prompts, captions["unranked"])
    write_json(layout.METRICS / "provenance.json", provenance())

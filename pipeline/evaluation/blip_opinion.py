"""What BLIP makes of generated pictures: captions against prompts, similarity, match.

BLIP reads the prompt for the prior, conditions it, and picks the draw: these figures are one
model's opinion of its own work, and say nothing that it cannot see, such as numbers.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np
from tokenizers.normalizers import Normalizer

from pipeline.evaluation.asking import AskedBlip
from pipeline.evaluation.bootstrap import mean_figures
from pipeline.evaluation.captions import caption_overlap, meteor
from pipeline.evaluation.judged import Judged
from pipeline.evaluation.scores import Figures, of_group
from pipeline.evaluation.shuffling import shuffled_rows


class BlipOpinion:
    """Answers about one picture of each prompt, each worked out once, when it is asked for.

    Groups are `unranked` and `best_of_n` draws, `reconstructed` (by least error), `redrawn` (by
    the flow decoder, if it paints) and `real` pictures (the ceiling); `shuffled`, unranked draws
    beside other prompts, is the floor. The captioner selected best of n, so its captions of these
    are no measure.
    """

    def __init__(self, judged: Judged, *, seed: int) -> None:
        """Ask about `judged`; `seed` is of the draw of other prompts."""
        draws, references = judged.draws, judged.references
        self.blip, self.prompts = judged.blip, judged.prompts
        self.asked = AskedBlip(judged.blip, judged.maps)
        self.images = {
            "unranked": draws.unranked,
            "best_of_n": draws.best,
            "reconstructed": references.real_decoded,
            "real": references.real,
        }
        if references.real_redrawn is not None:
            self.images["redrawn"] = references.real_redrawn
        self.seed = seed

    @cached_property
    def shuffled(self) -> np.ndarray:
        """For each prompt the row of another one."""
        return shuffled_rows(self.prompts, seed=self.seed)

    @property
    def others(self) -> list[str]:
        """For each picture a prompt that it is not of."""
        return [self.prompts[row] for row in self.shuffled]

    @property
    def spelling(self) -> Normalizer:
        """How the captioner writes: prompts are cut into words by the same rule."""
        return self.blip.tokenizer.backend_tokenizer.normalizer

    @cached_property
    def captions(self) -> dict[str, list[str]]:
        """What the captioner says of each group's pictures, but for those that it selected."""
        return {
            group: self.asked.caption(images)
            for group, images in self.images.items()
            if group != "best_of_n"
        }

    @cached_property
    def embeds(self) -> dict[str, np.ndarray]:
        """The embeddings (N, D) of each group's pictures."""
        return {group: self.asked.embed_images(images) for group, images in self.images.items()}

    def overlaps(self) -> Figures:
        """BLEU and ROUGE of the captions, MEASURE.GROUP, with their intervals."""
        for group, captions in self.captions.items():
            found = caption_overlap(self.prompts, captions, spelling=self.spelling)
            yield from of_group(group, found)
        floor = caption_overlap(self.others, self.captions["unranked"], spelling=self.spelling)
        yield from of_group("shuffled", floor)
        yield "bleu.n", float(len(self.prompts))

    def meteors(self, wordnet: Path) -> Figures:
        """METEOR of each group's captions."""
        for group, captions in self.captions.items():
            asked = self.prompts, captions
            yield group, meteor(*asked, nltk_data=wordnet, spelling=self.spelling)
        asked = self.others, self.captions["unranked"]
        yield "shuffled", meteor(*asked, nltk_data=wordnet, spelling=self.spelling)

    def similarities(self) -> Figures:
        """The mean cosine of each group's pictures and their prompts."""
        texts = self.blip.embed_texts(self.prompts).pooled.numpy()
        for group, embeds in self.embeds.items():
            yield from mean_figures(group, (embeds * texts).sum(axis=1))
        floor = (self.embeds["unranked"] * texts[self.shuffled]).sum(axis=1)
        yield from mean_figures("shuffled", floor)

    def matches(self) -> Figures:
        """The mean probability that each group's pictures match their prompts."""
        for group, images in self.images.items():
            yield from mean_figures(group, self.asked.match(images, self.prompts))
        floor = self.asked.match(self.images["unranked"], self.others)
        yield from mean_figures("shuffled", floor)

"""Which figures a reviewer sees first, which way each is better, what would raise it by cheating.

`metrics/*.json` hold these, some fifty in all, so that `dvc metrics diff` can be read;
`metrics/figures.tsv` holds every figure with its interval.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Better = Literal["higher", "lower", "neither"]

# The figures of each metrics file, in the order of importance.
HEADLINES: Mapping[str, tuple[str, ...]] = {
    "exact": (
        "unranked.all", "unranked.all_seen", "unranked.all_unseen", "unranked.kind",
        "unranked.colour", "unranked.count", "unranked.sort", "unranked.setting", "unranked.light",
        "best_of_n.all", "reconstructed.all", "redrawn.all",
    ),
    "neutral": (
        "generated.kid", "generated.precision", "generated.recall", "generated.coverage",
        "reconstructed.kid", "reconstructed.coverage", "redrawn.kid", "redrawn.precision",
        "redrawn.recall", "redrawn.coverage", "prior.kid", "lpips.generated",
    ),
    "pixels": (
        "copies.copies", "copies.further", "generated.label_accuracy", "real.label_accuracy",
        "sharpness.generated", "sharpness.redrawn",
    ),
    "vqvae": (
        "psnr", "ssim", "mse", "redrawn.psnr", "codebook.used", "codebook.perplexity",
    ),
    "prior": ("bits", "train_bits", "neighbours", "text_gain"),
    "blip": (
        "matching.balanced_accuracy", "matching.auc", "hard.count.called_matched",
        "hard.sort.called_matched", "hard.colour.called_matched", "hard.same_label.called_matched",
        "captions.right", "kinds.balanced", "probe.label_accuracy",
        "retrieval.text_to_image.recall@10", "bleu.unranked", "meteor.unranked",
        "subtask1.f1_macro",
    ),
}  # fmt: skip

# By the last part of a figure's name, or the whole of it; what is not named is better higher.
LOWER = {
    "kid", "fd", "mse", "bits", "train_bits", "bits_one_by_one", "bits_bound", "copies",
    "called_matched", "unconditional", "null_branch_lack", "lpips", "commonest",
}  # fmt: skip
NEITHER = {
    "further", "further_z", "threshold", "distance", "held_out_distance", "n", "prompts", "labels",
    "unigram", "left", "upper", "neighbours", "text_bound", "bits_per_pixel", "same_prompt",
    "sharpness",
}  # fmt: skip

# What would raise a family of figures without a better picture; it stands below its table.
CHEATS: Mapping[str, str] = {
    "exact": "Raised by: painting each title's one clearest picture again and again (coverage"
    " falls), or by knowing the judge, which no model here does.",
    "neutral": "Raised by: reciting training pictures (copies), or painting other titles well: the"
    " real pictures are of the same prompts, so that does not pay.",
    "copies": "Lowered by: blur and distortion, which also take a picture away from training"
    " (then `further` rises above 0.5).",
    "label": "Raised by: the clearest example of each label, again and again (recall falls).",
    "blip": "Raised by: whatever BLIP takes for the words, and by leaving out all that it"
    " cannot see (`hard` below): on the sample a painter that ignored number and sort would have a"
    " BLEU of 0.86.",
    "sharpness": "Raised by: noise and hard edges anywhere, which the neutral space sees; 1 is as"
    " much fine detail as real pictures have.",
    "vqvae": "Raised by: blur for PSNR (the mean of all possible pictures is the safest), and more"
    " bits per pixel.",
    "prior": "Bits of one codebook say nothing of another's: compare them at the same codes.",
}


def better(name: str) -> Better:
    """Which way a figure is better, by its dotted name."""
    parts = name.split(".")
    if NEITHER & {name, parts[0], parts[-1]}:
        return "neither"
    return "lower" if LOWER & {name, parts[0], parts[-1]} else "higher"

"""train_pixelsnail: codes and texts → a prior over codes given a text, a model for each level."""

from __future__ import annotations

from pipeline.params import SEED, load_section
from pipeline.training.pixelsnail import PixelSNAILTask
from pipeline.training.pixelsnail_settings import PixelSNAILSettings
from stages import layout
from stages.prior_training import leave_out, train_prior


def main() -> None:
    """Run the stage."""
    settings = load_section(layout.PARAMS, "pixelsnail", PixelSNAILSettings)
    seed = load_section(layout.PARAMS, "seed", SEED)
    chosen = load_section(layout.PARAMS, "prior", layout.FAMILY)
    if chosen != "pixelsnail":
        leave_out("pixelsnail", chosen=chosen)
    else:
        train_prior("pixelsnail", settings, PixelSNAILTask, label="PixelSNAIL", seed=seed)

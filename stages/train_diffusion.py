"""train_diffusion: codes and texts → a prior that fills in masked codes, a model for each level."""

from __future__ import annotations

from pipeline.params import SEED, load_section
from pipeline.training.diffusion import DiffusionTask
from pipeline.training.diffusion_settings import DiffusionSettings
from stages import layout
from stages.prior_training import leave_out, train_prior


def main() -> None:
    """Run the stage."""
    settings = load_section(layout.PARAMS, "diffusion", DiffusionSettings)
    seed = load_section(layout.PARAMS, "seed", SEED)
    chosen = load_section(layout.PARAMS, "prior", layout.FAMILY)
    if chosen != "diffusion":
        leave_out("diffusion", chosen=chosen)
    else:
        train_prior("diffusion", settings, DiffusionTask, label="masked diffusion", seed=seed)

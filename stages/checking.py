"""All sections of params.yaml together, checked before any stage begins.

A value that only the last stage finds impossible would cost hours of training. So the launcher
checks every section first, and the rules between sections, whatever stage it starts. A check that
only refuses cannot change a result: the launcher loads this module by its name, not by an import,
so that it is no code dep of a stage, and what it reads is none of a stage's params.

Nothing here imports torch: the sections' schemas stand in modules of their own, beside the code
that they configure.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.backbones import SMALLEST
from pipeline.codes.settings import DumpSettings
from pipeline.data.texts import normalise
from pipeline.download.pretrained import OFF, Pretrained
from pipeline.download.settings import Data
from pipeline.errors import UserError
from pipeline.evaluation.settings import EvaluateSettings
from pipeline.judge.settings import JudgeSettings
from pipeline.models.flow_decoder_sizes import check_sides
from pipeline.params import SEED, load_section, read_yaml
from pipeline.sampling_settings import GenerateSettings
from pipeline.training.blip_settings import BlipSettings
from pipeline.training.decoder_settings import DecoderSettings
from pipeline.training.diffusion_settings import DiffusionSettings
from pipeline.training.pixelsnail_settings import PixelSNAILSettings
from pipeline.training.vqvae_settings import VQVAESettings
from stages.layout import FAMILY

SECTIONS: dict[str, Any] = {
    "seed": SEED,
    "prior": FAMILY,
    "data": Data,
    "pretrained": Pretrained,
    "blip": BlipSettings,
    "vqvae": VQVAESettings,
    "dump_codes": DumpSettings,
    "decoder": DecoderSettings,
    "pixelsnail": PixelSNAILSettings,
    "diffusion": DiffusionSettings,
    "judge": JudgeSettings,
    "generate": GenerateSettings,
    "evaluate": EvaluateSettings,
}
TRAINED = ("blip", "vqvae", "decoder", "pixelsnail", "diffusion")


def check_params(path: Path, own: Mapping[str, Any], *, processes: int) -> list[str]:
    """Check every section of params.yaml, and that they go together.

    Args:
        own: the launcher's sections, and their schemas.
        processes: that will share a batch.

    Returns:
        One line for each measure that these settings leave out.

    Raises:
        UserError: a section is wrong, or one stage's value is impossible for another; one line.
    """
    known = {**SECTIONS, **own}
    if unknown := [key for key in read_yaml(path) if key not in known]:
        raise UserError(f"{path}: {unknown[0]}: unknown section; known: {', '.join(known)}")
    found = {name: load_section(path, name, schema) for name, schema in known.items()}
    blip: BlipSettings = found["blip"]
    vqvae: VQVAESettings = found["vqvae"]
    generate: GenerateSettings = found["generate"]
    pretrained: Pretrained = found["pretrained"]

    if (k := generate.top_k) > vqvae.n_embed:
        raise UserError(f"{path}: generate.top_k = {k}: at most vqvae.n_embed = {vqvae.n_embed}")
    for name in ("dump_codes", "decoder"):
        if (shift := found[name].max_shift) >= vqvae.image_size:
            raise UserError(
                f"{path}: {name}.max_shift = {shift}: expected less than vqvae.image_size = "
                f"{vqvae.image_size}"
            )
    decoder: DecoderSettings = found["decoder"]
    code_side = vqvae.image_size // vqvae.downsample
    for where, sizes in (("decoder", decoder), ("decoder.guide", decoder.of_guide)):
        if sizes is None:
            continue
        try:
            check_sides(sizes, image_size=vqvae.image_size, code_side=code_side)
        except ValueError as error:
            raise UserError(f"{path}: {where}.{error}") from None
    guided = generate.decoder_steps > 0 and generate.decoder_guidance != 1
    if guided and decoder.of_guide is None:
        raise UserError(
            f"{path}: generate.decoder_guidance = {generate.decoder_guidance:g}: expected 1 where "
            "there is no guide (decoder.guide.steps = 0)"
        )
    diffusion: DiffusionSettings = found["diffusion"]
    if found["prior"] == "diffusion" and diffusion.uniform_share:
        for key, value, only in (
            ("generate.order", generate.order, "halton"),
            ("generate.remask_steps", generate.remask_steps, 0),
        ):
            if value != only:
                raise UserError(
                    f"{path}: {key} = {value}: expected {only} where diffusion.uniform_share is "
                    "above 0, for it draws all codes again in each step"
                )
    for name in TRAINED:
        if (batch := found[name].batch_size) % processes:
            raise UserError(
                f"{path}: {name}.batch_size = {batch}: {processes} processes share it, so it must "
                f"be a multiple of {processes}"
            )
    _check_prompts(path, generate.prompts, blip, pretrained)
    return _left_out(vqvae, pretrained)


def _check_prompts(
    path: Path, prompts: tuple[str, ...], blip: BlipSettings, pretrained: Pretrained
) -> None:
    """Refuse what no text model takes; what its vocabulary makes of a prompt only it knows."""
    for number, prompt in enumerate(prompts):
        where = f"{path}: generate.prompts.{number} = {prompt[:60]!r}"
        words = normalise(prompt).split()
        if not words:
            raise UserError(f"{where}: it is empty")
        # [CLS], [SEP], and a token or more for each word; a checkpoint brings its own limit.
        if pretrained.blip == OFF and len(words) + 2 > blip.max_text_length:
            raise UserError(
                f"{where}: {len(words)} words, blip.max_text_length = {blip.max_text_length} "
                "tokens take fewer"
            )


def _left_out(vqvae: VQVAESettings, pretrained: Pretrained) -> list[str]:
    least, side = SMALLEST[pretrained.lpips_net], vqvae.image_size
    if pretrained.lpips == OFF or side >= least:
        return []
    return [
        f"LPIPS will be left out: pretrained.lpips_net = {pretrained.lpips_net} takes pictures of "
        f"at least {least} pixels, vqvae.image_size = {side}"
    ]

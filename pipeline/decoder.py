"""Codes and a text become a picture: by least error, or with what they leave open drawn as well.

Painter and evaluation know this seam alone, not which decoders there are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path

import torch
from torch import Tensor

from pipeline.errors import UserError
from pipeline.models.flow_decoder import FlowDecoder, load_flows
from pipeline.models.vqvae import VQVAE
from pipeline.sampling.flow import integrate
from pipeline.sampling_settings import DetailSettings


class Decoder:
    """Paints codes: by the VQ-VAE's own decoder, and by the flow decoder where there is one."""

    def __init__(
        self, vqvae: VQVAE, flow: FlowDecoder | None = None, guide: FlowDecoder | None = None
    ) -> None:
        """Bring them together.

        Args:
            guide: a weaker flow decoder, away from which `flow` can be guided.

        Raises:
            UserError: a flow decoder was trained over another VQ-VAE.
        """
        for trained in (flow, guide):
            if trained is not None:
                trained.check_fits(vqvae)
        self.vqvae, self.flow, self.guide = vqvae, flow, guide
        self._encoder: Callable[[], VQVAE] = lambda: vqvae

    @classmethod
    def from_pretrained(
        cls,
        *,
        vqvae: Path | str,
        flow: Path | str | None,
        device: torch.device,
        decode_only: bool = False,
    ) -> Decoder:
        """Load the folders that `train_vqvae` and `train_decoder` made.

        Args:
            flow: with its guide in it, if it has one; None: there is no flow decoder.
            decode_only: hardly anything will be encoded: it is there a second sooner, which the
                first `encode` then takes longer.

        Raises:
            UserError: a file is missing or damaged, or the folders do not belong together.
        """
        flows = [] if flow is None else load_flows(flow)
        decoder = cls(
            VQVAE.from_pretrained(vqvae, decode_only=decode_only).to(device),
            *(model.to(device) for model in flows),
        )
        if decode_only:
            decoder._encoder = cache(lambda: VQVAE.from_pretrained(vqvae).to(device))
        return decoder

    @property
    def device(self) -> torch.device:
        """Where it paints."""
        return next(self.vqvae.parameters()).device

    def encode(self, images: Tensor, text_embeds: Tensor) -> Tensor:
        """Codes (B, h, w) int64 of pictures (B, 3, H, W) in [-1, 1], beside their texts."""
        return self._encoder().encode(images, text_embeds)

    def least_error(self, codes: Tensor, text_embeds: Tensor) -> Tensor:
        """The mean of the pictures (B, 3, H, W) that codes (B, h, w) may stand for, in [-1, 1]."""
        return self.vqvae.decode(codes, text_embeds)

    @torch.inference_mode()
    def draw(
        self,
        codes: Tensor,
        text_embeds: Tensor,
        settings: DetailSettings,
        *,
        generators: Sequence[torch.Generator],
    ) -> Tensor:
        """One of the pictures that codes may stand for.

        Args:
            codes: (B, h, w) int64.
            text_embeds: (B, text_dim), L2-normalised.
            settings: without steps it is the mean of those pictures, no draw.
            generators: one for each picture, on the CPU, so that none depends on its batch.

        Returns:
            (B, 3, H, W) in [-1, 1].

        Raises:
            UserError: there is no flow decoder, or no guide to be guided by.
        """
        decoded = self.least_error(codes, text_embeds)
        steps, guidance = settings.decoder_steps, settings.decoder_guidance
        if steps == 0:
            return decoded
        if self.flow is None:
            raise UserError(f"decoder_steps = {steps}: there is no flow decoder; run train_decoder")
        if self.guide is None and guidance != 1:
            raise UserError(
                f"decoder_guidance = {guidance:g}: the flow decoder has no guide "
                "(decoder.guide.steps = 0); expected 1"
            )
        noise = torch.stack([torch.randn(decoded.shape[1:], generator=g) for g in generators])
        known = {
            "decoded": decoded,
            "vectors": self.vqvae.vectors(codes),
            "text_embeds": text_embeds,
        }
        residual = integrate(
            partial(self.flow, **known),
            noise.to(decoded.device),
            steps=steps,
            guide=None if self.guide is None else partial(self.guide, **known),
            guidance=guidance,
        )
        return (decoded + self.flow.scale * residual).clamp(-1, 1)

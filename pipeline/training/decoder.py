"""How the flow decoder learns: the squared error of the velocity, over a frozen VQ-VAE's codes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pipeline.data.captioned import CaptionedImages
from pipeline.data.views import shifted, to_float
from pipeline.models.flow_decoder import FlowDecoder
from pipeline.models.vqvae import VQVAE
from pipeline.training.decoder_settings import DecoderSettings
from pipeline.training.strata import stratified

SCALED_BY = 512  # training pictures, of whose residuals the scale is taken
VALIDATED = 192  # pictures: a validation of them all would cost more than the steps between two
BATCH = 64


@dataclass(frozen=True)
class Coded:
    """Pictures, and all that is known of them once they are codes.

    Attributes:
        images, decoded: (B, 3, H, W) in [-1, 1].
        vectors: of each level (B, code_dim, h, w), the top's first.
        text_embeds: (B, text_dim).
    """

    images: Tensor
    decoded: Tensor
    vectors: list[Tensor]
    text_embeds: Tensor


class DecoderTask:
    """What `fit` trains: the flow decoder alone; the VQ-VAE is asked, and stays as it is."""

    def __init__(
        self,
        model: FlowDecoder,
        vqvae: VQVAE,
        train: CaptionedImages,
        val: CaptionedImages,
        settings: DecoderSettings,
    ) -> None:
        """Take the residual's scale from the training pictures.

        Args:
            vqvae: on the device that the model will be trained on.
        """
        self.model: nn.Module = model
        self.flow, self.vqvae = model, vqvae.eval().requires_grad_(False)
        self.train, self.val, self.settings = train, val, settings
        self.rows, self._device = len(train), next(vqvae.parameters()).device
        self.flow.scale.fill_(self._residual_scale())

    def loss(self, model: nn.Module, rows: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Weighted squared error of the velocity, of shifted pictures at times spread evenly."""
        images = shifted(
            to_float(self.train.images[rows].to(self._device)), max_shift=self.settings.max_shift
        )
        kept = torch.rand(len(rows), 1) >= self.settings.text_dropout
        texts = (self.train.text_embeds[rows] * kept).to(self._device)
        times, noise = self._times(stratified(len(rows))), torch.randn(images.shape)
        errors = self._errors(model, self._coded(images, texts), times, noise.to(self._device))
        return errors.mean(), {}

    def validate(self, model: nn.Module) -> dict[str, float]:
        """The same error on the first validation pictures, at times spread evenly over its law."""
        rows = torch.arange(min(len(self.val), VALIDATED))
        times = self._times((torch.randperm(len(rows)) + 0.5) / len(rows))
        errors = []
        for part in rows.split(BATCH):
            images = to_float(self.val.images[part].to(self._device))
            coded = self._coded(images, self.val.text_embeds[part].to(self._device))
            noise = torch.randn(images.shape).to(self._device)
            errors.append(self._errors(model, coded, times[part], noise))
        return {"loss": float(torch.cat(errors).mean())}

    def _times(self, quantiles: Tensor) -> Tensor:
        """(B,) in [0, 1], of quantiles (B,) of their law."""
        normal = torch.special.ndtri(quantiles)
        return (self.settings.time_mean + self.settings.time_std * normal).sigmoid()

    def _coded(self, images: Tensor, texts: Tensor) -> Coded:
        with torch.autocast(images.device.type, enabled=False):  # as it will be asked to paint
            codes = self.vqvae.encode(images, texts)
            decoded, vectors = self.vqvae.decode(codes, texts), self.vqvae.vectors(codes)
        # What comes out of inference mode cannot take part in a gradient, its copies can.
        return Coded(images, decoded.clone(), [grid.clone() for grid in vectors], texts)

    def _errors(self, model: nn.Module, coded: Coded, times: Tensor, noise: Tensor) -> Tensor:
        """(B,) mean squared error of each picture's velocity, weighted as the network's own.

        The velocity's error is the network's, times a function of the time (see
        `FlowDecoder.forward`); without the weight the ends of the way would count twice its middle.
        """
        residual = (coded.images - coded.decoded) / self.flow.scale
        times = times.to(residual.device)
        t = times[:, None, None, None]
        noisy = (1 - t) * noise + t * residual
        velocity = model(noisy, times, coded.decoded, coded.vectors, coded.text_embeds)
        errors = (velocity.float() - (residual - noise)).square().mean(dim=(1, 2, 3))
        return errors * (times.square() + (1 - times).square())

    def _residual_scale(self) -> float:
        squares = []
        for rows in torch.arange(min(self.rows, SCALED_BY)).split(BATCH):
            images = to_float(self.train.images[rows].to(self._device))
            coded = self._coded(images, self.train.text_embeds[rows].to(self._device))
            squares.append((coded.images - coded.decoded).square().mean(dim=(1, 2, 3)))
        return float(torch.cat(squares).mean().sqrt())

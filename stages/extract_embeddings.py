"""extract_embeddings: BLIP, pictures, captions → what the later models read instead of them."""

from __future__ import annotations

from accelerate import Accelerator

from pipeline.data.pairs import captioned, read_pairs
from pipeline.data.pixels import Pixels
from pipeline.devices import best_device
from pipeline.extraction import extract_images, extract_texts
from pipeline.models.blip import Blip
from stages import layout


def main() -> None:
    """Run the stage."""
    pairs = read_pairs(layout.PAIRS)
    # Without an accelerator it must be told that this is meant, or processes ignore one another.
    accelerator = Accelerator(cpu=best_device().type == "cpu")
    blip = Blip.from_pretrained(layout.BLIP).to(accelerator.device)

    images = extract_images(
        blip,
        [pair.image for pair in pairs],
        pixels=Pixels.open(layout.BLIP_PIXELS, blip.image_size),
        accelerator=accelerator,
    )
    texts = extract_texts(
        blip, [pair.caption for pair in captioned(pairs)], accelerator=accelerator
    )
    if accelerator.is_main_process:
        images.save(layout.IMAGE_EMBEDDINGS)
        texts.save(layout.TEXT_EMBEDDINGS)

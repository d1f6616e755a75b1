"""dump_codes: every captioned picture, and shifted views of the training ones → codes in LMDB."""

from __future__ import annotations

from pipeline.codes import CodeStore
from pipeline.codes.encode import encoded_views
from pipeline.codes.settings import DumpSettings
from pipeline.data.captioned import CaptionedImages
from pipeline.data.embeddings import TextEmbeddings
from pipeline.data.pairs import captioned, read_pairs
from pipeline.data.pixels import Pixels
from pipeline.devices import best_device
from pipeline.errors import UserError
from pipeline.models.vqvae import VQVAE
from pipeline.params import SEED, load_section
from stages import layout


def main() -> None:
    """Run the stage."""
    settings = load_section(layout.PARAMS, "dump_codes", DumpSettings)
    seed = load_section(layout.PARAMS, "seed", SEED)
    vqvae = VQVAE.from_pretrained(layout.VQVAE).to(best_device())
    if (shift := settings.max_shift) >= (size := vqvae.config.image_size):
        raise UserError(
            f"{layout.PARAMS}: dump_codes.max_shift = {shift}: expected less than "
            f"vqvae.image_size = {size}"
        )
    texts = TextEmbeddings.load(layout.TEXT_EMBEDDINGS)
    pairs = captioned(read_pairs(layout.PAIRS))
    pixels = Pixels.open(layout.VQVAE_PIXELS, size)
    pictures = CaptionedImages.load(pairs, texts, pixels)
    records = encoded_views(
        vqvae, pictures, pairs, views=settings.views, max_shift=settings.max_shift, seed=seed
    )
    CodeStore.write(layout.CODES, records, shape=vqvae.code_shape, n_embed=vqvae.config.n_embed)

"""Where the stages' outs lie, relative to the repository; dvc.yaml lists the same paths."""

from pathlib import Path
from typing import Any, Literal, get_args

PARAMS = Path("params.yaml")
AHEAD = "CODEBRUSH_AHEAD"  # in the environment of a process that trains a stage ahead of its turn

IMAGES = Path("data/images")
PAIRS = Path("data/pairs.jsonl")
REPORT = Path("data/report.csv")
PROMPTS = Path("data/prompts.jsonl")
PRETRAINED = Path("data/pretrained")
LPIPS = PRETRAINED / "lpips"
WORDNET = PRETRAINED / "wordnet"
PIXELS = Path("data/pixels")  # a folder for each model that reads pictures: their sizes may differ
BLIP_PIXELS = PIXELS / "blip"
VQVAE_PIXELS = PIXELS / "vqvae"
EMBEDDINGS = Path("data/embeddings")
IMAGE_EMBEDDINGS = EMBEDDINGS / "images"
TEXT_EMBEDDINGS = EMBEDDINGS / "texts"
CODES = Path("data/codes.lmdb")
GENERATED = Path("data/generated")

JUDGE = Path("models/judge")
BLIP = Path("models/blip")
VQVAE = Path("models/vqvae")
DECODER = Path("models/decoder")
Family = Literal["pixelsnail", "diffusion"]  # of priors
FAMILY: Any = Family  # Any: mypy takes it for no type
PRIORS: dict[str, Path] = {family: Path("models") / family for family in get_args(Family)}
PAINTER = Path("models/painter.json")

METRICS = Path("metrics")
SPREAD = Path("docs/spread.json")  # made by `python -m apps.spread`, not by a stage
CURVES = METRICS / "curves"
PICTURES = METRICS / "pictures"
LATENTS = METRICS / "latents"
CAPTIONS = METRICS / "captions.tsv"

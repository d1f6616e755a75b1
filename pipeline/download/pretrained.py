"""Resources that others trained or wrote, brought in once: BLIP, LPIPS's backbone, WordNet.

Each is `off`, a local path, or `fetch`. What arrives are three folders that every later stage reads
offline: `blip` (with `retrieval` and `captioner`, Hugging Face folders, weights as safetensors),
`lpips` (a `TORCH_HOME`) and `wordnet` (an `NLTK_DATA`). Each holds a `manifest.json`: its
origin, and the hashes of its files; with `off` it holds nothing else.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from pipeline.backbones import BACKBONES
from pipeline.download.downloads import Downloads
from pipeline.download.settings import Http
from pipeline.download.store import DownloadStore
from pipeline.errors import UserError
from pipeline.files import remove, replacing, write_json
from pipeline.params import Section
from pipeline.sealing import seal_folder

OFF, FETCH = "off", "fetch"
# YAML 1.1 reads an unquoted off as false; `dvc exp run -S pretrained.blip=off` may write it so.
Where = Annotated[str, BeforeValidator(lambda v: OFF if v is False else v), Field(min_length=1)]

CHECKPOINTS = {
    "retrieval": "Salesforce/blip-itm-base-coco",
    "captioner": "Salesforce/blip-image-captioning-base",
}
SAFE_WEIGHTS, PICKLED_WEIGHTS = "model.safetensors", "pytorch_model.bin"
NEEDED = ("config.json", "vocab.txt")

BACKBONES_FROM = "https://download.pytorch.org/models"
WORDNET_FROM = "https://raw.githubusercontent.com/nltk/nltk_data/gh-pages/packages/corpora"
WORDNET_FILES = tuple(
    f"{kind}.{part}" for kind in ("data", "index") for part in ("adj", "adv", "noun", "verb")
)
LARGEST_FILE = 4 * 1024**3  # bytes
LONGEST_FETCH = 6 * 3600.0  # seconds
LARGEST_UNPACKED = 256 * 1024**2


class Pretrained(Section):
    """The `pretrained` section of params.yaml: `off`, `fetch` or a local path each."""

    blip: Where
    lpips: Where
    lpips_net: Literal["alex", "vgg", "squeeze"]
    wordnet: Where


def bring_pretrained(
    settings: Pretrained,
    folder: Path,
    *,
    store: DownloadStore,
    http: Http,
    backbones_from: str = BACKBONES_FROM,
    wordnet_from: str = WORDNET_FROM,
) -> None:
    """Make the folders `blip`, `lpips` and `wordnet` with what is asked for.

    Args:
        folder: where to; those that are there are replaced.
        store, http: what is fetched goes through here (BLIP through `huggingface_hub`, which the
            environment's `HF_ENDPOINT` sends elsewhere).

    Raises:
        UserError: something asked for is not there; the line names the key and what is expected.
    """
    patient = http.model_copy(update={"deadline": LONGEST_FETCH, "max_bytes": LARGEST_FILE})

    def blip(to: Path) -> dict[str, str]:
        return _bring_blip(settings.blip, to, store.folder / "huggingface", http.refresh)

    def lpips(to: Path) -> str:
        name = BACKBONES[settings.lpips_net]
        file = to / "hub" / "checkpoints" / name
        return _bring_backbone(settings.lpips, file, f"{backbones_from}/{name}", store, patient)

    def wordnet(to: Path) -> str:
        url = f"{wordnet_from}/wordnet.zip"
        return _bring_wordnet(settings.wordnet, to / "corpora" / "wordnet", url, store, patient)

    _bring(settings.blip, folder / "blip", blip)
    _bring(settings.lpips, folder / "lpips", lpips)
    _bring(settings.wordnet, folder / "wordnet", wordnet)


def _bring(where: str, folder: Path, bring: Callable[[Path], Any]) -> None:
    """Make `folder` by `bring`, which fills it and returns where from, and write its manifest."""
    with replacing(folder) as aside:
        aside.mkdir()
        origin = bring(aside) if where != OFF else None
        seal_folder(aside, origin=origin)


def _bring_blip(where: str, to: Path, scratch: Path, refresh: int) -> dict[str, str]:
    origin = {}
    for part, repository in CHECKPOINTS.items():
        key = f"pretrained.blip = {where!r}"
        if where == FETCH:
            source, revision = _snapshot(repository, scratch / part, refresh)
            origin[part] = f"{repository}@{revision}"
        else:
            source = Path(where).expanduser() / part
            origin[part] = str(source)
            if not source.is_dir():
                raise UserError(f"{key}: {source} is no folder; expected retrieval/ and captioner/")
        _copy_checkpoint(source, to / part, key)
    return origin


def _copy_checkpoint(source: Path, to: Path, key: str) -> None:
    """Copy a Hugging Face folder's configuration, tokenizer and weights, these as safetensors."""
    for name in NEEDED:
        if not (source / name).is_file():
            raise UserError(f"{key}: {source / name} is missing; expected a Hugging Face folder")
    to.mkdir(parents=True)
    for file in sorted(source.iterdir()):
        if file.suffix in (".json", ".txt") and not file.name.endswith(".index.json"):
            shutil.copyfile(file, to / file.name)
    if (source / SAFE_WEIGHTS).is_file():
        shutil.copyfile(source / SAFE_WEIGHTS, to / SAFE_WEIGHTS)
    elif (source / PICKLED_WEIGHTS).is_file():
        _to_safetensors(source / PICKLED_WEIGHTS, to / SAFE_WEIGHTS, key)
    else:
        raise UserError(f"{key}: {source} has neither {SAFE_WEIGHTS} nor {PICKLED_WEIGHTS}")


def _to_safetensors(source: Path, to: Path, key: str) -> None:
    """Rewrite a PyTorch file of tensors (some checkpoints come as nothing else) as safetensors."""
    import torch
    from safetensors.torch import save_file

    try:
        state = torch.load(source, map_location="cpu", weights_only=True)
        tensors = {name: tensor.clone().contiguous() for name, tensor in state.items()}
    except Exception as error:  # the unpickler raises nearly anything on a file that is not its own
        line = " ".join(str(error).split())[:120]
        raise UserError(f"{key}: {source} is no file of tensors alone: {line}") from None
    save_file(tensors, to, metadata={"format": "pt"})


def _snapshot(repository: str, scratch: Path, refresh: int) -> tuple[Path, str]:
    """Fetch what is needed of a repository's newest revision; returns its folder and revision.

    What was fetched under the same `refresh` is taken as it is, and nobody asked.
    """
    fetched = scratch / "fetched.json"
    if fetched.exists():
        known = json.loads(fetched.read_text(encoding="utf-8"))
        folder = scratch / known["revision"]
        if known["refresh"] == refresh and all((folder / name).is_file() for name in NEEDED):
            return folder, known["revision"]

    import huggingface_hub
    from huggingface_hub.errors import HTTPError  # of the HTTP library that this release uses

    try:
        info = huggingface_hub.HfApi().model_info(repository)
        folder = scratch / str(info.sha)
        names = {file.rfilename for file in info.siblings or []}
        weights = SAFE_WEIGHTS if SAFE_WEIGHTS in names else PICKLED_WEIGHTS
        texts = sorted(n for n in names if n.endswith((".json", ".txt")) and "/" not in n)
        huggingface_hub.snapshot_download(
            repository,
            revision=info.sha,
            local_dir=folder,
            allow_patterns=[*texts, weights],
        )
    except (HTTPError, OSError, ValueError) as error:
        line = " ".join(str(error).split())[:160]
        raise UserError(f"pretrained.blip = 'fetch': {repository}: {line}") from None
    write_json(fetched, {"refresh": refresh, "revision": str(info.sha)})
    for old in scratch.iterdir():
        if old not in (folder, fetched):
            remove(old)
    return folder, str(info.sha)


def _bring_backbone(where: str, to: Path, url: str, store: DownloadStore, http: Http) -> str:
    to.parent.mkdir(parents=True)
    if where != FETCH:
        source = Path(where).expanduser() / "hub" / "checkpoints" / to.name
        if not source.is_file():
            raise UserError(
                f"pretrained.lpips = {where!r}: {source} is missing; expected a TORCH_HOME folder "
                f"with torchvision's weights of pretrained.lpips_net"
            )
        shutil.copyfile(source, to)
        return str(source)
    body = _fetch(url, "pretrained.lpips", store, http)
    begins = to.stem.rsplit("-", 1)[1]
    if not body.name.startswith(begins):
        store.forget(url)
        found = body.name[: len(begins)]
        raise UserError(
            f"pretrained.lpips = 'fetch': {url}: its SHA-256 begins with {found}, not {begins}"
        )
    shutil.copyfile(body, to)
    return url


def _bring_wordnet(where: str, to: Path, url: str, store: DownloadStore, http: Http) -> str:
    to.mkdir(parents=True)
    if where == FETCH:
        _unpack_wordnet(_fetch(url, "pretrained.wordnet", store, http), to, where)
        origin = url
    else:
        corpora = Path(where).expanduser() / "corpora"
        packed, unpacked = corpora / "wordnet.zip", corpora / "wordnet"
        origin = str(unpacked if unpacked.is_dir() else packed)
        if unpacked.is_dir():
            for file in sorted(p for p in unpacked.iterdir() if p.is_file()):
                shutil.copyfile(file, to / file.name)
        elif packed.is_file():
            _unpack_wordnet(packed, to, where)
        else:
            raise UserError(
                f"pretrained.wordnet = {where!r}: no {unpacked} and no {packed}; expected an "
                "NLTK_DATA folder"
            )
    for name in WORDNET_FILES:
        if not (to / name).is_file():
            raise UserError(f"pretrained.wordnet = {where!r}: {origin} lacks wordnet/{name}")
    return origin


def _unpack_wordnet(archive: Path, to: Path, where: str) -> None:
    """Unpack `wordnet/NAME` members, nothing else, and no more bytes than WordNet can have."""
    key = f"pretrained.wordnet = {where!r}: {archive}"
    try:
        with zipfile.ZipFile(archive) as packed:
            if sum(member.file_size for member in packed.infolist()) > LARGEST_UNPACKED:
                raise UserError(f"{key} unpacks to more than {LARGEST_UNPACKED} bytes")
            for member in packed.infolist():
                parts = PurePosixPath(member.filename).parts
                if member.is_dir() or len(parts) != 2 or parts[0] != "wordnet" or parts[1] == "..":
                    continue
                # zipfile gives no more bytes than the member declares, which were summed above.
                (to / parts[1]).write_bytes(packed.read(member))
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError) as error:
        raise UserError(f"{key} cannot be unpacked: {' '.join(str(error).split())}") from None


def _fetch(url: str, key: str, store: DownloadStore, http: Http) -> Path:
    (_, fetched), *_ = Downloads(store, http).fetch_all([url])
    if fetched.entry is None:
        raise UserError(f"{key} = 'fetch': {url}: {fetched.error}")
    return store.body(fetched.entry.sha256)

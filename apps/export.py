"""`codebrush export`: a folder from which another machine paints the same bytes, with its card."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from apps.card import model_card
from apps.folders import new_folder
from pipeline import hub
from pipeline.errors import UserError
from pipeline.painter_folder import ABOUT, PainterFolder
from pipeline.sealing import check_folder

CARD = "README.md"


def export(models: Path, to: Path) -> PainterFolder:
    """Write the folder `to` with all that painting needs, and a model card; returns what it is.

    Args:
        models: of a finished run, whose metrics lie beside them.

    Raises:
        UserError: the models are not there or damaged, or `to` already holds something.
    """
    found = PainterFolder.read(models)
    with new_folder(to) as aside:
        parts = {name: aside / part.name for name, part in found.parts.items()}
        for name, part in found.parts.items():
            shutil.copytree(part, parts[name], copy_function=shutil.copyfile)
            check_folder(parts[name])
        replace(found, parts=parts).write(aside / ABOUT)
        card = model_card(models.resolve().parent, found, size=size_of(aside))
        (aside / CARD).write_text(card, encoding="utf-8", newline="\n")
    return PainterFolder.read(to)


def size_of(folder: Path) -> int:
    """The bytes of all files in a folder and below."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def push(folder: Path, name: str, *, private: bool) -> str:
    """Put an exported folder on the Hugging Face Hub as `owner/name`; returns where it is.

    Raises:
        UserError: the name is none, nobody is logged in, or the hub refuses.
    """
    if not hub.NAME.fullmatch(name):
        raise UserError(f"--push {name!r}: expected owner/name")
    import huggingface_hub
    from huggingface_hub.errors import HTTPError

    api = huggingface_hub.HfApi()
    try:
        api.create_repo(name, private=private, exist_ok=True)
        sent = api.upload_folder(
            repo_id=name, folder_path=folder, commit_message="Exported by codebrush"
        )
    except (HTTPError, OSError, ValueError) as error:
        line = " ".join(str(error).split())[:160]
        raise UserError(f"--push {name}: {line}; `hf auth login` logs you in") from None
    return str(sent.commit_url)

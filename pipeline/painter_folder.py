"""A painter in a folder: which parts it has, and how it was judged; read without torch.

`FOLDER/painter.json` stands beside the folders of the models. It names them, holds the settings
that they were judged with, and knows the models by their checksums: it never speaks of others.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipeline import hub
from pipeline.errors import UserError
from pipeline.files import write_text
from pipeline.sampling_settings import PaintSettings
from pipeline.sealing import sealed, unseal

ABOUT = "painter.json"


@dataclass(frozen=True)
class PainterFolder:
    """What `painter.json` says.

    Attributes:
        parts: the folder of each part, by the name that `Painter.from_folders` gives it.
        settings: what the models were judged with.
        threads, instruction_set: of the judged run; sums, hence bytes, depend on both.
    """

    parts: Mapping[str, Path]
    settings: PaintSettings
    threads: int
    instruction_set: str

    @property
    def fingerprint(self) -> str:
        """A short digest of all models, which a picture can carry."""
        both = " ".join(f"{name} {_fingerprint(part)}" for name, part in self.parts.items())
        return hashlib.blake2b(both.encode(), digest_size=8).hexdigest()

    @classmethod
    def find(cls, where: Path | str) -> PainterFolder:
        """Read a folder's, or that of "owner/name" on the Hugging Face Hub, which is fetched.

        Raises:
            UserError: there is none, or it is damaged.
        """
        return cls.read(hub.fetched(str(where), needs=ABOUT) if hub.is_name(where) else where)

    def write(self, path: Path | str) -> None:
        """Write it to `path`; the parts must lie in folders beside it."""
        path = Path(path)
        entry = {
            "parts": {
                name: {"folder": part.name, "blake2b": _fingerprint(part)}
                for name, part in self.parts.items()
            },
            "settings": self.settings.model_dump(),
            "threads": self.threads,
            "instruction_set": self.instruction_set,
        }
        write_text(path, json.dumps(sealed(entry), indent=2) + "\n")

    @classmethod
    def read(cls, folder: Path | str) -> PainterFolder:
        """Read `folder`'s and see that its models are those that it speaks of.

        Raises:
            UserError: it is missing, damaged, or of other models.
        """
        path = Path(folder) / ABOUT
        try:
            entry: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            if not unseal(entry):
                raise UserError(f"{path}: damaged (its checksum differs); make it again")
            # The name alone: a painter's parts lie beside its painter.json, nowhere else.
            parts = {k: path.parent / Path(v["folder"]).name for k, v in entry["parts"].items()}
            for name, part in parts.items():
                if not part.is_dir():
                    raise UserError(f"{part}: no such folder; run `dvc repro`")
                if _fingerprint(part) != entry["parts"][name]["blake2b"]:
                    raise UserError(
                        f"{part}: not the model that {path} was written for; run `dvc repro`"
                    )
            return cls(
                parts,
                PaintSettings(**entry["settings"]),
                int(entry["threads"]),
                str(entry["instruction_set"]),
            )
        except (FileNotFoundError, NotADirectoryError):
            raise UserError(
                f"{path}: no such file; expected the folder that `dvc repro` or "
                "`codebrush export` makes"
            ) from None
        except (ValueError, KeyError, TypeError, AttributeError, ValidationError):
            raise UserError(f"{path}: not what this version writes; make it again") from None


def _fingerprint(part: Path) -> str:
    """The BLAKE2b of a model's JSON files, among them the one that holds its weights' checksums."""
    total = hashlib.blake2b(digest_size=16)
    for file in sorted(part.rglob("*.json")):
        name, content = file.relative_to(part).as_posix(), file.read_bytes()
        total.update(len(name).to_bytes(8, "little") + name.encode())
        total.update(len(content).to_bytes(8, "little") + content)
    return total.hexdigest()

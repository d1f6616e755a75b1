"""A painter on the Hugging Face Hub: named `owner/name`, fetched once, kept in the hub's own cache.

`HF_ENDPOINT`, `HF_HOME` and `HF_HUB_OFFLINE` mean what they mean to `huggingface_hub`.
"""

from __future__ import annotations

import re
from pathlib import Path

from pipeline.errors import UserError

NAME = re.compile(r"[\w-][\w.-]{0,95}/[\w-][\w.-]{0,95}", re.ASCII)


def is_name(where: Path | str) -> bool:
    """Is it `owner/name`, and no folder that is here?"""
    return isinstance(where, str) and bool(NAME.fullmatch(where)) and not Path(where).exists()


def fetched(name: str, *, needs: str) -> Path:
    """The folder of a repository's newest revision, which is fetched unless it is here.

    Only what a painter is made of is asked for: JSON and safetensors. Nothing in it executes.

    Args:
        needs: the file without which the others are not asked for: they may be large.

    Raises:
        UserError: there is no such repository, or no hub within reach and nothing kept.
    """
    import huggingface_hub
    from huggingface_hub.errors import HTTPError  # of the HTTP library that this release uses

    try:
        huggingface_hub.hf_hub_download(name, needs)
        return Path(
            huggingface_hub.snapshot_download(name, allow_patterns=["*.json", "*.safetensors"])
        )
    except (HTTPError, OSError, ValueError) as error:
        line = " ".join(str(error).split())[:160]
        raise UserError(f"{name}: no such folder here, and on the hub: {line}") from None

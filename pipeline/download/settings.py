"""The `data` section of params.yaml: where pairs come from, what is kept, how it is fetched."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipeline.data.decoding import MOST_PIXELS
from pipeline.params import Section

Label = Literal["YES", "NO", ""]
Share = Annotated[float, Field(ge=0, le=1)]
BelowOne = Annotated[float, Field(ge=0, lt=1)]


class Files(Section):
    """Annotation files of a source: a path or a URL each, "" for none."""

    train: str
    test: str


Column = Literal["id", "image", "language", "subtask1_label", "subtask2_labels", "text", "title"]


class Table(Files):
    """Files of one's own.

    Attributes:
        columns: MUSTI's field → the table's own column, or a text with columns in braces; empty if
            the columns have MUSTI's names.
    """

    columns: dict[Column, str]


class Sample(Section):
    """How many pictures the sample painter draws, and their side in pixels."""

    train: int = Field(ge=1)
    test: int = Field(ge=1)
    size: int = Field(ge=16, le=1024)


class Http(Section):
    """How the network is used; times are in seconds.

    Attributes:
        connect_timeout: for one connection to be made.
        read_timeout: for the next bytes to arrive.
        deadline: for one picture in all, from its first request on: every try, redirect and pause.
        per_host: requests to one host at a time.
        workers: requests at a time in all.
        retries: further tries after a failure that may pass (no connection, 5xx, a cut body); that
            a host asks for patience (429, 503) costs none.
        max_bytes: of one body, as it comes and unpacked.
        allow_private: let URLs and redirects lead to loopback, private and link-local addresses.
        refresh: raise it to ask the servers again, conditionally, for what was fetched before.
    """

    user_agent: str = Field(min_length=1, pattern=r"^[\x20-\x7e]+$")
    connect_timeout: float = Field(gt=0, le=600)
    read_timeout: float = Field(gt=0, le=600)
    deadline: float = Field(gt=0, le=86_400)
    per_host: int = Field(ge=1, le=64)
    workers: int = Field(ge=1, le=256)
    retries: int = Field(ge=0, le=20)
    max_bytes: int = Field(ge=1)
    allow_private: bool
    refresh: int = Field(ge=0)


class Data(Section):
    """The `data` section; params.yaml explains each key."""

    source: Literal["sample", "musti", "json", "folder", "webdataset", "parquet"]
    sample: Sample
    musti: Files
    json_files: Table = Field(alias="json")
    folder: Table
    webdataset: Table
    parquet: Table
    watch: str = Field(min_length=1)  # for DVC alone: what it looks at for changes
    languages: tuple[str, ...] = Field(min_length=1)
    caption: Literal["title", "text", "title_or_text"]
    caption_labels: tuple[Label, ...] = Field(min_length=1)
    mismatch_labels: tuple[Label, ...]
    val_share: BelowOne
    test_share: BelowOne
    limit: int = Field(ge=0)
    min_kept: Share
    near_duplicate_distance: int = Field(ge=0, le=64)  # of 256 bits
    placeholder_urls: int = Field(ge=0)
    max_pixels: int = Field(ge=1, le=MOST_PIXELS)
    http: Http

    @model_validator(mode="after")
    def _consistent(self) -> Data:
        both = set(self.caption_labels) & set(self.mismatch_labels)
        if both:
            named = ", ".join(repr(label) for label in sorted(both))
            raise ValueError(f"caption_labels and mismatch_labels both hold {named}")
        if self.val_share + self.test_share >= 1:
            raise ValueError("val_share and test_share leave nothing to train on")
        return self

"""The three sources of annotations: the sample painter, MUSTI's files, any files of that schema."""

from __future__ import annotations

from pathlib import Path

from pipeline.download.downloads import Downloads
from pipeline.download.fetch import FetchError, clean_url
from pipeline.download.pictures import HAS_SCHEME
from pipeline.download.records import Annotations
from pipeline.download.settings import Data, Files, Http
from pipeline.download.store import DownloadStore
from pipeline.errors import UserError
from pipeline.files import remove
from pipeline.sample import write_sample

MUSTI_IS_ASKED_FOR = (
    "data.musti.train = '': the annotation files are given out by MediaEval against a registration "
    "and a usage agreement, see https://multimediaeval.github.io/editions/2023/tasks/musti/; "
    "give the path or the URL of the JSON file that you were sent"
)


def open_source(settings: Data, *, seed: int, store: DownloadStore) -> list[Annotations]:
    """Read (or paint, or fetch) the annotation files of `data.source`, the training file first.

    Raises:
        UserError: a file is not named, not there, or cannot be fetched.
    """
    if settings.source == "sample":
        folder = store.folder / "sample"
        remove(folder)
        sample = settings.sample
        write_sample(folder, train=sample.train, test=sample.test, size=sample.size, seed=seed)
        return [
            _read(part, str(folder / f"musti-{part}.json"), store, settings.http, key="data.sample")
            for part in ("train", "test")
        ]
    files: Files = settings.musti if settings.source == "musti" else settings.json_files
    if not files.train:
        raise UserError(
            MUSTI_IS_ASKED_FOR
            if settings.source == "musti"
            else "data.json.train = '': give the path or the URL of an annotation file"
        )
    named = {"train": files.train, "test": files.test}
    return [
        _read(part, at, store, settings.http, key=f"data.{settings.source}.{part}")
        for part, at in named.items()
        if at
    ]


def _read(part: str, at: str, store: DownloadStore, http: Http, *, key: str) -> Annotations:
    if HAS_SCHEME.match(at):
        try:
            url = clean_url(at)
        except FetchError as error:
            raise UserError(f"{key} = {at!r}: {error.detail}") from None
        (_, fetched), *_ = Downloads(store, http).fetch_all([url])
        if fetched.entry is None:
            raise UserError(f"{key} = {at!r}: {fetched.error}")
        return Annotations(part, url, url, store.body(fetched.entry.sha256).read_bytes())
    path = Path(at)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{key} = {at!r}: {error.strerror or 'cannot be read'}") from None
    name = path.name if key == "data.sample" else at
    return Annotations(part, name, path, data)

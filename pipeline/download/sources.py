"""The sources of annotations: the sample painter, MUSTI's files, one's own table or folder."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from pipeline.download.downloads import Downloads
from pipeline.download.fetch import FetchError, clean_url
from pipeline.download.folders import read_folder
from pipeline.download.intake import Intake
from pipeline.download.parquet import read_parquet
from pipeline.download.pictures import HAS_SCHEME, find_file
from pipeline.download.records import Annotations
from pipeline.download.rows import Selected
from pipeline.download.settings import Data, Files, Http, Table
from pipeline.download.shards import read_webdataset
from pipeline.download.splits import shuffle_key
from pipeline.download.store import DownloadStore
from pipeline.errors import UserError
from pipeline.files import remove
from pipeline.progress import say
from pipeline.sample import write_sample
from pipeline.sample.titles import TITLES

MUSTI_IS_ASKED_FOR = (
    "data.musti.train = '': the annotation files are given out by MediaEval against a registration "
    "and a usage agreement, see https://multimediaeval.github.io/editions/2023/tasks/musti/; "
    "give the path or the URL of the JSON file that you were sent"
)

NOT_NAMED = {
    "musti": MUSTI_IS_ASKED_FOR,
    "json": "data.json.train = '': give the path or the URL of an annotation file",
    "folder": "data.folder.train = '': give the path of a folder of pictures",
    "webdataset": "data.webdataset.train = '': give the path of a folder of .tar shards",
    "parquet": "data.parquet.train = '': give the path of a folder of .parquet files",
}

SHARDED = {"webdataset": read_webdataset, "parquet": read_parquet}


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
            _read(
                part, str(folder / f"musti-{part}.json"), store, settings.http,
                key="data.sample", columns={},
            )
            for part in ("train", "test")
        ]  # fmt: skip
    files: Files = {
        "musti": settings.musti, "json": settings.json_files, "folder": settings.folder,
        "webdataset": settings.webdataset, "parquet": settings.parquet,
    }[settings.source]  # fmt: skip
    if not files.train:
        raise UserError(NOT_NAMED[settings.source])
    named = {"train": files.train, "test": files.test}
    own = files.columns if isinstance(files, Table) else {}
    columns = {str(field): column for field, column in own.items()}
    found = []
    for part, at in named.items():
        key = f"data.{settings.source}.{part}"
        if not at:
            continue
        if settings.source in SHARDED:
            file = SHARDED[settings.source](
                part, at, columns, store.folder / "unpacked" / part,
                key=key, max_bytes=settings.http.max_bytes,
            )  # fmt: skip
            base: str | Path = Path(at).expanduser()
        elif settings.source == "folder":
            file = read_folder(part, at, columns, key=key)
            base = file.base
        else:
            file = _read(part, at, store, settings.http, key=key, columns=columns)
            base = file.base
        found.append(file)
        _tell_what_is_not_watched(base, settings.watch, key)
    return found


def judged_prompts(intake: Intake, settings: Data) -> Collection[str]:
    """What generated pictures are judged by: every title of the sample, else the test captions.

    The sample's are in an order by their hashes, so that the first few are of every kind.
    """
    if settings.source == "sample":
        return sorted(TITLES, key=lambda title: shuffle_key(0, title))
    return Selected(
        intake.rows,
        "SELECT caption FROM pairs WHERE split = 'test' AND caption != '' "
        "GROUP BY caption ORDER BY min(id)",
        str,
    )


def _tell_what_is_not_watched(base: str | Path, watch: str, key: str) -> None:
    """One line where DVC would not see a change of the annotations, though it looked at `watch`."""
    if isinstance(base, str):
        say(f"{key}: DVC does not look at URLs; raise data.http.refresh to ask the server again")
    elif not base.resolve().is_relative_to(Path(watch).resolve()):
        say(
            f"{key}: DVC looks for changes in data.watch = {watch} only; put the file there, or "
            "set data.watch to it, or run `dvc repro --force download` after a change"
        )


def _read(
    part: str, at: str, store: DownloadStore, http: Http, *, key: str, columns: Mapping[str, str]
) -> Annotations:
    if at.startswith("//") and not Path(at).exists():
        at = f"https:{at}"
    if HAS_SCHEME.match(at):
        try:
            url = clean_url(at)
        except FetchError as error:
            raise UserError(f"{key} = {at!r}: {error.detail}") from None
        (_, fetched), *_ = Downloads(store, http).fetch_all([url])
        if fetched.entry is None:
            raise UserError(f"{key} = {at!r}: {fetched.error}")
        body = store.body(fetched.entry.sha256).read_bytes()
        return Annotations(part, url, url, body, columns)
    try:
        path = find_file(Path(), Path(at).expanduser())
        data = path.read_bytes()
    except (OSError, RuntimeError) as error:  # RuntimeError: no such user's home
        if isinstance(error, RuntimeError):
            raise UserError(f"{key} = {at!r}: {error}") from None
        raise UserError(f"{key} = {at!r}: {error.strerror or 'cannot be read'}") from None
    name = path.name if key == "data.sample" else at
    return Annotations(part, name, path, data, columns)

"""The rows of a source, in a database on the disk: the rules hold a few of them in memory.

The database is SQLite's kind that has no name: the system removes the file with the process that
made it, however that ends. One process writes it for itself alone, so there is no journal, and
nothing waits for the disk.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
from collections.abc import Callable, Collection, Iterator
from itertools import starmap
from pathlib import Path
from typing import Any, Generic, TypeVar

from pipeline.download.splits import shuffle_key

T = TypeVar("T")

CACHE = 8 << 10  # KiB of the database in memory; an order that is being made takes as many
FULL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE)  # the disk; a quota

TABLES = """
CREATE TABLE file (                 -- of annotations
    file INTEGER PRIMARY KEY,
    part TEXT,                      -- 'train' or 'test'
    name TEXT,
    numbered INTEGER DEFAULT 0,     -- whether its rows' ids are whole numbers, and those of pairs
    shift INTEGER DEFAULT 0         -- what is added to those
);

CREATE TABLE record (               -- every row of every file
    record INTEGER PRIMARY KEY,     -- in the order of the files, and of their rows
    file INTEGER,
    number INTEGER,                 -- of the row in its file, from 1
    id,                             -- as the source wrote it, a whole number or a text; so are:
    image TEXT, language TEXT, said_label TEXT, said_title TEXT, said_text TEXT,
    reason TEXT, detail TEXT,       -- why it is left out, '' if it is kept; `detail` says more
    place INTEGER,                  -- where its picture is
    picture INTEGER,                -- which one that is; places of the same bytes share it
    status INTEGER,                 -- HTTP's, if a server answered
    text TEXT, label TEXT, labels TEXT, title TEXT DEFAULT '', caption TEXT DEFAULT ''
);

CREATE TABLE place (                -- where rows say that pictures are
    place INTEGER PRIMARY KEY,
    url TEXT,                       -- as it is asked for; '' for a file
    path BLOB,                      -- of a file on this machine
    body BLOB,                      -- the path of the bytes that are there; NULL if none are
    name TEXT,                      -- of the picture that these are; NULL if they are none
    signature INTEGER,              -- of the picture: its row of `Signatures`
    status INTEGER, reason TEXT DEFAULT '', detail TEXT DEFAULT '',
    UNIQUE (url, path)
);
CREATE INDEX place_by_name ON place (name) WHERE name IS NOT NULL;

CREATE TABLE picture (
    picture INTEGER PRIMARY KEY,
    name TEXT UNIQUE,
    body BLOB,
    signature INTEGER,
    alike INTEGER,                  -- its group of near-duplicates: the first picture of it by name
    split TEXT
);

CREATE VIEW kept AS
    SELECT record.*, part, shift + CASE numbered WHEN 1 THEN id ELSE number END AS pair
    FROM record JOIN file USING (file) WHERE reason = '';

CREATE VIEW pairs AS                -- in the words of `Pair`
    SELECT pair AS id, name AS image, split, caption, text, title, label, labels,
        picture, body, alike
    FROM kept JOIN picture USING (picture);
"""


@contextlib.contextmanager
def open_rows(folder: Path) -> Iterator[sqlite3.Connection]:
    """Have the tables, empty, for as long as the body runs.

    Args:
        folder: on the disk that is to hold them.

    Raises:
        OSError: the disk is too full.
    """
    rows = sqlite3.connect("", isolation_level=None)
    try:
        # Else the file is where the system has its temporary ones, which may be memory.
        place = str(folder.resolve()).replace("'", "''")
        with contextlib.suppress(UnicodeEncodeError):  # SQLite's paths are UTF-8
            rows.execute(f"PRAGMA temp_store_directory = '{place}'")
        rows.execute("PRAGMA temp_store = FILE")
        rows.execute(f"PRAGMA cache_size = -{CACHE}")
        rows.execute("PRAGMA journal_mode = OFF")
        rows.create_function("shuffle_key", 2, shuffle_key, deterministic=True)
        rows.executescript(TABLES)
        rows.execute("BEGIN")  # and never end: nobody else is to see what is written
        yield rows
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode in FULL:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder)) from None
        raise
    finally:
        rows.close()


class Selected(Collection[T], Generic[T]):
    """What a query finds, one in memory at a time, as often as one asks.

    Args:
        make: what of the columns.
    """

    def __init__(self, rows: sqlite3.Connection, query: str, make: Callable[..., T]) -> None:
        self._rows, self._query, self._make = rows, query, make

    def __len__(self) -> int:
        return int(the_one(self._rows, f"SELECT count(*) FROM ({self._query})"))

    def __iter__(self) -> Iterator[T]:
        return starmap(self._make, self._rows.execute(self._query))

    def __contains__(self, wanted: object) -> bool:
        return any(found == wanted for found in self)


def the_one(rows: sqlite3.Connection, query: str, *parameters: Any) -> Any:
    """What a query finds that finds one value."""
    (found,) = rows.execute(query, parameters).fetchone()
    return found

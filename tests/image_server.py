"""A web server of pictures on the loopback address, for downloads: it misbehaves by URL.

`server.url("good", "a.jpg")` is a picture; the other kinds are the methods of `_Visit`.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import struct
import threading
import time
import zlib
from collections import Counter
from dataclasses import dataclass
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
from PIL import Image, ImageDraw

from pipeline.download.settings import Http

# Quick and hard, so that the tests are; the loopback address is allowed, as on an intranet.
TEST_HTTP = Http(
    user_agent="codebrush-tests/1.0",
    connect_timeout=1.0,
    read_timeout=0.6,
    deadline=5.0,
    per_host=8,
    workers=16,
    retries=2,
    max_bytes=300_000,
    allow_private=True,
    refresh=0,
)


def paint(name: str, size: int = 80) -> Image.Image:
    """A picture like no other, made of its name."""
    rng = np.random.default_rng(int(hashlib.sha256(name.encode()).hexdigest()[:16], 16))
    coarse = rng.integers(0, 255, (4, 4, 3), dtype=np.uint8)
    image = Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image)
    for _ in range(24):
        x, y, w, h = rng.integers(0, size, 4)
        colour = tuple(int(c) for c in rng.integers(0, 255, 3))
        draw.ellipse((x, y, x + w / 4 + 2, y + h / 4 + 2), fill=colour)
    return image


def encoded(image: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    """The picture as a file's bytes."""
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def png_bomb(side: int = 30_000) -> bytes:
    """A small PNG file that would take gigabytes when decoded."""

    def chunk(name: bytes, body: bytes) -> bytes:
        crc = zlib.crc32(name + body)
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", crc)

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(side + 1) * 40, 9)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        [chunk(b"IHDR", header), chunk(b"IDAT", pixels), chunk(b"IEND", b"")]
    )


@dataclass(frozen=True)
class Limit:
    """How many pictures a server lets out in a while, and what it says to whom it refuses one."""

    count: int
    seconds: float
    status: int = 429
    retry_after: str = "1"  # seconds, "date", or "" for no such header


class _Visit(BaseHTTPRequestHandler):
    """One connection. The first part of a path names the method that answers."""

    protocol_version = "HTTP/1.1"
    timeout = 10
    server: ImageServer

    def do_GET(self) -> None:
        kind = self.path.split("/")[1].split("?")[0]
        self.server.note(self.path, dict(self.headers))
        try:
            getattr(self, f"_{kind}", self._missing)()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _send(self, body: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        fields = {"Content-Type": "image/jpeg", "Content-Length": str(len(body))}
        for name, value in {
            **fields,
            **{k.replace("_", "-"): v for k, v in headers.items()},
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _begin(self, length: int | None = None) -> None:
        self.close_connection = True
        self.send_response(200)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def _visits(self) -> int:
        return self.server.visits[self.path]

    # Kinds that are pictures.
    def _good(self) -> None:
        tag = f'"{hashlib.sha256(self.path.encode()).hexdigest()[:8]}"'
        if self.headers.get("If-None-Match") == tag:
            self._send(b"", 304, ETag=tag)
        else:
            self._send(encoded(paint(self.path)), ETag=tag)

    def _late(self) -> None:
        self.server.closing.wait(0.12)
        self._good()

    def _flaky(self) -> None:
        if self._visits() <= 2:
            self._send(b"<html>oops</html>", 500)
        else:
            self._good()

    def _busy(self) -> None:
        if self._visits() == 1:
            self._send(b"", 429, Retry_After="1")
        else:
            self._good()

    def _limited(self) -> None:
        """Pictures at the server's `rate`: so many in a while, else a refusal."""
        refusal = self.server.refusal(self.path)
        if refusal is None:
            self._good()
        else:
            status, headers = refusal
            self._send(b"<html>slow down</html>", status, **headers)

    def _cookie(self) -> None:
        """Gives a cookie and sends back to the same address, which wants to see it."""
        if self.headers.get("Cookie") == "seen=yes":
            self._good()
        else:
            self._send(b"", 302, Location=self.path, Set_Cookie="seen=yes; Path=/")

    def _moved(self) -> None:
        self._send(b"x" * 100, 302, Location=self.path.replace("/moved/", "/good/"))

    def _wrongtype(self) -> None:
        self._send(encoded(paint(self.path)), Content_Type="text/plain")

    def _gzip(self) -> None:
        self._send(gzip.compress(encoded(paint(self.path))), Content_Encoding="gzip")

    def _nolength(self) -> None:
        self._begin()
        self.wfile.write(encoded(paint(self.path)))

    def _chunked(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        body = encoded(paint(self.path))
        for part in (body[:1000], body[1000:], b""):
            self.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")

    # Kinds that are none.
    def _missing(self) -> None:
        self._send(b"<html>not here</html>", 404)

    def _forbidden(self) -> None:
        self._send(b"", 403)

    def _overrun(self) -> None:
        self._send(b"", 429, Retry_After="3600")

    def _down(self) -> None:
        self._send(b"", 503)

    def _silent(self) -> None:
        self.server.closing.wait(8)
        self.close_connection = True

    def _drip(self) -> None:
        body = encoded(paint(self.path))
        self._begin(len(body))
        for byte in body:
            self.wfile.write(bytes([byte]))
            if self.server.closing.wait(0.2):
                return

    def _driphead(self) -> None:
        self.close_connection = True
        for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"a" * 500:
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            if self.server.closing.wait(0.2):
                return

    def _truncated(self) -> None:
        body = encoded(paint(self.path))
        self._begin(len(body))
        self.wfile.write(body[: len(body) // 2])

    def _shortlength(self) -> None:
        body = encoded(paint(self.path))
        self._begin(len(body) // 2)
        self.wfile.write(body)

    def _claimshuge(self) -> None:
        self._begin(10**12)
        self.wfile.write(encoded(paint(self.path)))

    def _endless(self) -> None:
        self._begin()
        while not self.server.closing.is_set():
            self.wfile.write(b"\xff\xd8" + b"x" * 65_534)

    def _gzipbomb(self) -> None:
        self._send(gzip.compress(bytes(5_000_000), 9), Content_Encoding="gzip")

    def _notgzip(self) -> None:
        self._send(encoded(paint(self.path)), Content_Encoding="gzip")

    def _html(self) -> None:
        self._send(b"<!DOCTYPE html><html><body>Please log in</body></html>")

    def _bomb(self) -> None:
        self._send(png_bomb())

    def _empty(self) -> None:
        self._send(b"")

    def _placeholder(self) -> None:
        self._send(encoded(paint("no access")))

    def _loop(self) -> None:
        self._send(b"", 302, Location=self.path)

    def _endlessloop(self) -> None:
        self.close_connection = True
        self.send_response(302)
        self.send_header("Location", self.path.replace("/endlessloop/", "/good/"))
        self.end_headers()
        while not self.server.closing.is_set():
            self.wfile.write(b"x" * 65_536)

    def _metadata(self) -> None:
        self._send(b"", 302, Location="http://169.254.169.254/latest/meta-data/")

    def _localfile(self) -> None:
        self._send(b"", 302, Location="file:///etc/passwd")

    def _file(self) -> None:
        self._send(self.server.files[self.path.removeprefix("/file/")])


class ImageServer(ThreadingHTTPServer):
    """The server, running while its `with` block does."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: str = "127.0.0.1") -> None:
        super().__init__((address, 0), _Visit)
        self.closing = threading.Event()
        self.visits: Counter[str] = Counter()
        self.headers: list[dict[str, str]] = []
        self.files: dict[str, bytes] = {}
        self.limit = Limit(count=2, seconds=1.0)
        self._let_through: list[float] = []
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)

    def note(self, path: str, headers: dict[str, str]) -> None:
        """Count a request."""
        with self._lock:
            self.visits[path] += 1
            self.headers.append(headers)

    def refusal(self, path: str) -> tuple[int, dict[str, str]] | None:
        """None if a picture may be had now, else the status and headers that say when."""
        limit, now = self.limit, time.monotonic()
        with self._lock:
            recent = [at for at in self._let_through if now - at < limit.seconds]
            if len(recent) < limit.count:
                self._let_through = [*recent, now]
                return None
        if limit.retry_after == "date":
            return limit.status, {"Retry_After": formatdate(time.time() + 1, usegmt=True)}
        return limit.status, {"Retry_After": limit.retry_after} if limit.retry_after else {}

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # clients hang up on us: that is what they are tested for

    def url(self, kind: str, name: str = "") -> str:
        """The address of a picture of some kind."""
        host, port = self.server_address[:2]
        return f"http://{host!s}:{port}/{kind}/{name}"

    def __enter__(self) -> ImageServer:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.closing.set()
        self.shutdown()
        self.server_close()

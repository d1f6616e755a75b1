"""Downloads from a server that fails, stalls, lies and means harm."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from image_server import TEST_HTTP, ImageServer, Limit, encoded, paint

from pipeline.download import addresses, downloads
from pipeline.download.addresses import is_public
from pipeline.download.downloads import Downloads, Fetched
from pipeline.download.fetch import FetchError, clean_url
from pipeline.download.settings import Http
from pipeline.download.store import DownloadStore

# Kind of URL → the reason it ends with, and the HTTP status that the report shows.
BAD = {
    "missing": ("http_404", 404),
    "forbidden": ("http_403", 403),
    "overrun": ("rate_limited", 429),
    "down": ("rate_limited", 503),
    "silent": ("timeout", None),
    "drip": ("deadline", 200),
    "driphead": ("deadline", 200),
    "truncated": ("truncated", 200),
    "claimshuge": ("too_large", 200),
    "endless": ("too_large", 200),
    "gzipbomb": ("too_large", 200),
    "notgzip": ("bad_encoding", 200),
    "empty": ("empty", 200),
    "loop": ("too_many_redirects", 302),
    "localfile": ("bad_redirect", 302),
}
GOOD = ("good", "flaky", "busy", "moved", "endlessloop", "wrongtype", "gzip", "nolength", "chunked")


@pytest.fixture
def server() -> Iterator[ImageServer]:
    with ImageServer() as server:
        yield server


def fetch_all(urls: list[str], folder: Path, http: Http = TEST_HTTP) -> dict[str, Fetched]:
    with DownloadStore.open(folder) as store:
        return dict(Downloads(store, http).fetch_all(urls))


def fetch_one(url: str, folder: Path, http: Http = TEST_HTTP) -> Fetched:
    return fetch_all([url], folder, http)[url]


def reason(fetched: Fetched) -> str:
    return fetched.error.reason if fetched.error else ""


def test_every_misbehaviour_ends_with_its_own_reason_and_costs_no_good_picture(
    server: ImageServer, tmp_path: Path
) -> None:
    good = {server.url(kind, f"{n}.jpg"): kind for kind in GOOD for n in range(3)}
    bad = {server.url(kind, f"{n}.jpg"): kind for kind in BAD for n in range(2)}
    start = time.monotonic()
    ends = fetch_all([*bad, *good], tmp_path)
    took = time.monotonic() - start
    assert {url: reason(ends[url]) for url in good} == dict.fromkeys(good, "")
    found = {(kind, reason(ends[u]), ends[u].error.status) for u, kind in bad.items()}
    assert found == {(kind, *expected) for kind, expected in BAD.items()}
    assert took < 5 * TEST_HTTP.deadline


def test_what_is_stored_are_the_bytes_that_the_server_has(
    server: ImageServer, tmp_path: Path
) -> None:
    for kind in ("good", "gzip", "chunked", "nolength"):
        entry = fetch_one(server.url(kind, "x.jpg"), tmp_path).entry
        assert entry is not None
        body = (tmp_path / "bodies" / entry.sha256).read_bytes()
        assert body == encoded(paint(f"/{kind}/x.jpg"))


def test_a_second_run_asks_for_nothing_that_it_has_and_again_for_what_it_lacks(
    server: ImageServer, tmp_path: Path
) -> None:
    have, lack = server.url("good", "a.jpg"), server.url("missing", "b.jpg")
    fetch_all([have, lack], tmp_path)
    fetch_all([have, lack], tmp_path)
    assert server.visits == {"/good/a.jpg": 1, "/missing/b.jpg": 2}


def test_a_damaged_body_in_the_store_is_fetched_again(server: ImageServer, tmp_path: Path) -> None:
    url = server.url("good", "a.jpg")
    entry = fetch_one(url, tmp_path).entry
    assert entry is not None
    (tmp_path / "bodies" / entry.sha256).write_bytes(b"torn")
    again = fetch_one(url, tmp_path).entry
    assert again == entry
    assert (tmp_path / "bodies" / entry.sha256).read_bytes() == encoded(paint("/good/a.jpg"))


def test_a_refresh_asks_with_the_etag_and_keeps_what_has_not_changed(
    server: ImageServer, tmp_path: Path
) -> None:
    url = server.url("good", "a.jpg")
    first = fetch_one(url, tmp_path).entry
    later = TEST_HTTP.model_copy(update={"refresh": 1})
    second = fetch_one(url, tmp_path, later).entry
    assert first is not None
    assert second is not None
    assert second.sha256 == first.sha256
    assert server.headers[-1]["If-None-Match"] == first.etag
    fetch_one(url, tmp_path, later)
    assert server.visits["/good/a.jpg"] == 2


def test_a_refresh_from_a_dead_server_keeps_the_copy_and_says_why(tmp_path: Path) -> None:
    with ImageServer() as server:
        url = server.url("good", "a.jpg")
        first = fetch_one(url, tmp_path)
    http = TEST_HTTP.model_copy(update={"refresh": 1, "retries": 0})
    second = fetch_one(url, tmp_path, http)
    assert second.entry == first.entry
    assert reason(second) == "no_connection"


def test_retry_after_is_waited_for(server: ImageServer, tmp_path: Path) -> None:
    start = time.monotonic()
    assert fetch_one(server.url("busy", "a.jpg"), tmp_path).entry is not None
    assert time.monotonic() - start >= 1.0


PATIENT = TEST_HTTP.model_copy(
    update={"deadline": 20.0, "read_timeout": 5.0, "workers": 64, "retries": 0}
)


def test_hosts_that_ask_for_patience_give_every_picture_and_hold_up_no_other(
    tmp_path: Path,
) -> None:
    # (limit, pictures): each would be over in about four seconds if nobody asked too often.
    limits = [
        (Limit(2, 1.0), 8),
        (Limit(1, 1.0), 4),
        (Limit(1, 2.0), 3),
        (Limit(2, 1.0, status=503), 6),
        (Limit(2, 1.0, retry_after="date"), 6),
        (Limit(2, 1.0, retry_after=""), 6),
        (Limit(2, 1.0, status=503, retry_after=""), 6),
    ]
    with ExitStack() as stack:
        servers = [stack.enter_context(ImageServer(f"127.0.1.{n}")) for n in range(1, 9)]
        urls = [servers[-1].url("good", f"{n}.jpg") for n in range(20)]
        for server, (limit, count) in zip(servers, limits, strict=False):
            server.limit = limit
            urls += [server.url("limited", f"{n}.jpg") for n in range(count)]
        start, good_until, ends = time.monotonic(), 0.0, {}
        with DownloadStore.open(tmp_path) as store:
            for url, fetched in Downloads(store, PATIENT).fetch_all(urls):
                ends[url] = reason(fetched)
                if "good" in url:
                    good_until = time.monotonic() - start
        assert ends == dict.fromkeys(urls, "")
        assert good_until < 2.0
        assert time.monotonic() - start < 15.0
        for server, (_, count) in zip(servers, limits, strict=False):
            assert server.visits.total() < 5 * count + 8, "a host that is paced is not hammered"


def test_what_time_does_not_allow_is_told_and_alone_asked_for_by_a_further_run(
    server: ImageServer, tmp_path: Path
) -> None:
    server.limit = Limit(2, 60.0)
    urls = [server.url("limited", f"{n}.jpg") for n in range(4)]
    hurried = PATIENT.model_copy(update={"deadline": 1.5})
    ends = fetch_all(urls, tmp_path, hurried)
    lost = [url for url in urls if reason(ends[url])]
    assert [reason(ends[url]) for url in lost] == ["rate_limited"] * 2
    assert "raise that" in ends[lost[0]].error.detail
    assert "data.http.deadline = 1.5" in ends[lost[0]].error.detail
    assert ends[lost[0]].error.status == 429
    server.visits.clear()
    server.limit = Limit(2, 0.1)
    assert not any(map(reason, fetch_all(urls, tmp_path, PATIENT).values()))
    assert {f"/limited/{url.rsplit('/', 1)[1]}" for url in lost} == set(server.visits)


def test_a_host_that_wants_hours_is_left_in_peace_after_a_few_pictures(
    server: ImageServer, tmp_path: Path
) -> None:
    ends = fetch_all([server.url("overrun", f"{n}.jpg") for n in range(60)], tmp_path)
    assert {reason(end) for end in ends.values()} == {"rate_limited"}
    assert server.visits.total() <= downloads.CLOSED_AFTER + TEST_HTTP.per_host


def test_one_picture_that_is_always_refused_does_not_slow_the_others_down(
    server: ImageServer, tmp_path: Path
) -> None:
    urls = [server.url("down", "a.jpg"), *(server.url("good", f"{n}.jpg") for n in range(40))]
    http = TEST_HTTP.model_copy(update={"deadline": 2.0})
    start = time.monotonic()
    ends = fetch_all(urls, tmp_path, http)
    assert [reason(ends[url]) for url in urls] == ["rate_limited"] + [""] * 40
    assert time.monotonic() - start < 8.0


def test_cookies_live_as_long_as_one_picture_s_redirects(
    server: ImageServer, tmp_path: Path
) -> None:
    http = TEST_HTTP.model_copy(update={"per_host": 1, "workers": 1})
    ends = fetch_all([server.url("cookie", f"{n}.jpg") for n in range(3)], tmp_path, http)
    assert not any(map(reason, ends.values()))
    assert ["Cookie" in headers for headers in server.headers] == [False, True] * 3


def test_the_user_agent_is_the_one_of_the_params(server: ImageServer, tmp_path: Path) -> None:
    fetch_one(server.url("good", "a.jpg"), tmp_path)
    assert server.headers[0]["User-Agent"] == TEST_HTTP.user_agent


def test_no_host_is_asked_more_often_at_once_than_the_params_say(
    server: ImageServer, tmp_path: Path
) -> None:
    http = TEST_HTTP.model_copy(update={"per_host": 2, "read_timeout": 0.3, "retries": 0})
    start = time.monotonic()
    fetch_all([server.url("silent", f"{n}.jpg") for n in range(6)], tmp_path, http)
    assert time.monotonic() - start >= 3 * 0.3


def test_a_host_that_never_answers_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "GIVE_UP_AFTER", 3)
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    urls = [f"http://127.0.0.1:{port}/{n}.jpg" for n in range(12)]
    http = TEST_HTTP.model_copy(update={"retries": 0, "per_host": 1})
    reasons = [reason(end) for end in fetch_all(urls, tmp_path, http).values()]
    assert reasons == ["no_connection"] * 3 + ["host_down"] * 9


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::1]"])
def test_a_url_may_not_lead_to_this_machine_unless_the_params_allow_it(
    server: ImageServer, tmp_path: Path, host: str
) -> None:
    http = TEST_HTTP.model_copy(update={"allow_private": False})
    end = fetch_one(f"http://{host}:{server.server_address[1]}/good/a.jpg", tmp_path, http)
    assert reason(end) in ("forbidden_address", "bad_url", "unknown_host")
    assert not server.visits


def test_a_redirect_may_not_lead_to_a_cloud_machines_metadata(
    server: ImageServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The server itself must be reachable: its own address counts as public here.
    public = addresses.is_public
    monkeypatch.setattr(addresses, "is_public", lambda a: a == "127.0.0.1" or public(a))
    http = TEST_HTTP.model_copy(update={"allow_private": False})
    end = fetch_one(server.url("metadata", "a.jpg"), tmp_path, http)
    assert reason(end) == "forbidden_address"
    assert fetch_one(server.url("moved", "a.jpg"), tmp_path, http).entry is not None


def test_the_address_that_was_checked_is_the_one_that_is_connected_to(
    server: ImageServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def rebinding(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        asked.append(host)
        address = "93.184.216.34" if len(asked) == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    connected = []

    def connect(self: socket.socket, address: object) -> None:
        connected.append(address)
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    monkeypatch.setattr(socket.socket, "connect", connect)
    http = TEST_HTTP.model_copy(update={"allow_private": False, "retries": 1})
    end = fetch_one("http://rebinding.example/a.jpg", tmp_path, http)
    assert connected == [("93.184.216.34", 80)]
    assert reason(end) == "forbidden_address"  # the second try saw the other answer


PRIVATE = """
    127.0.0.1 10.0.0.1 192.168.1.1 172.16.0.1 169.254.169.254 0.0.0.0 100.64.0.1 224.0.0.1
    255.255.255.255 ::1 fe80::1 fe80::1%eth0 fc00::1 ff02::1 ::ffff:127.0.0.1 2002:7f00:1::
    64:ff9b::7f00:1 not-an-address
"""


@pytest.mark.parametrize("address", PRIVATE.split())
def test_addresses_that_are_not_on_the_public_internet_are_refused(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946"])
def test_public_addresses_are_let_through(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://host/a.jpg",
        "http://",
        "http://user:secret@host/a.jpg",
        "http://host:99999/a.jpg",
        "http://[::1/a.jpg",
        "http://ho\x00st/a.jpg",
        "gopher://host",
        "",
    ],
)
def test_what_is_no_web_address_is_refused(url: str) -> None:
    with pytest.raises(FetchError) as caught:
        clean_url(url)
    assert caught.value.reason == "bad_url"


@pytest.mark.parametrize(
    "url", ["http://\udcff.example/", "http://a..b/x", "http://%zz/", "http://*/"]
)
def test_no_url_makes_a_traceback(url: str, tmp_path: Path) -> None:
    try:
        url = clean_url(url)
    except FetchError:
        return
    assert fetch_one(url, tmp_path, TEST_HTTP.model_copy(update={"retries": 0})).entry is None


def test_white_space_around_a_url_is_dropped() -> None:
    assert clean_url("  http://host/a b.jpg#top ") == "http://host/a b.jpg"


def test_a_full_disk_is_not_blamed_on_the_server(
    server: ImageServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, *_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with DownloadStore.open(tmp_path) as store:
        monkeypatch.setattr(Path, "replace", full)
        with pytest.raises(OSError, match="No space left"):
            dict(Downloads(store, TEST_HTTP).fetch_all([server.url("good", "a.jpg")]))

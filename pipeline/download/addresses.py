"""Sessions safe from SSRF: only to addresses that they may, the one checked being the one used.

A host name is resolved once for a connection, every address it has is checked, and the connection
goes to one of those very addresses: a name that answers differently a moment later (DNS rebinding)
gains nothing. TLS still verifies the name.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import threading
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError, NameResolutionError, NewConnectionError


class ForbiddenAddress(HTTPError):
    """A host name leads to an address that is not on the public internet."""


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet's, however it is written."""
    try:
        ip = ipaddress.ip_address(address.split("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        # IPv4 addresses in IPv6 clothes: mapped, 6to4, and NAT64 (RFC 6052).
        inner = ip.ipv4_mapped or ip.sixtofour
        if ip in ipaddress.ip_network("64:ff9b::/96"):
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
        if ip.teredo is not None or ip.is_site_local:
            return False
    return ip.is_global and not ip.is_multicast


class Wire:
    """The connections that one thread has open, which another may cut when time is up."""

    def __init__(self, *, allow_private: bool) -> None:
        self.allow_private = allow_private
        self._connections: set[Any] = set()
        self._lock = threading.Lock()

    def add(self, connection: Any) -> None:
        """Remember a connection that was opened."""
        with self._lock:
            self._connections = {c for c in self._connections if c.sock is not None}
            self._connections.add(connection)

    def cut(self) -> None:
        """End every connection; a read that waits on one returns at once."""
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            if (sock := connection.sock) is not None:
                # The plain method: a TLS socket's own would drop its state under the reader.
                with contextlib.suppress(OSError):  # closed already
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)


def _connect(connection: Any, wire: Wire) -> socket.socket:
    """Resolve a connection's host, check every address, connect to the first that answers."""
    try:
        found = socket.getaddrinfo(connection._dns_host, connection.port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        raise NameResolutionError(
            connection.host, connection, socket.gaierror(str(error))
        ) from None
    for *_, address in found:
        if not wire.allow_private and not is_public(str(address[0])):
            raise ForbiddenAddress(f"{connection.host} is at {address[0]}")
    last: OSError = OSError("no address")
    for family, kind, protocol, _, address in found:
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(connection.timeout)
            for option in connection.socket_options or ():
                sock.setsockopt(*option)
            sock.connect(address)
        except OSError as error:
            sock.close()
            last = error
            continue
        wire.add(connection)
        return sock
    raise NewConnectionError(connection, str(last)) from last


class _Adapter(HTTPAdapter):
    """An adapter whose connections are made by `_connect`."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        super().__init__(pool_connections=16, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        wire = self._wire

        class Plain(HTTPConnection):
            def _new_conn(self) -> socket.socket:
                return _connect(self, wire)

        class Secure(HTTPSConnection):
            def _new_conn(self) -> socket.socket:
                return _connect(self, wire)

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class SecurePool(HTTPSConnectionPool):
            ConnectionCls = Secure

        self.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}


class _Session(requests.Session):
    """A session that leaves redirects, and their bodies, to its caller."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        return None


def new_session(wire: Wire, *, user_agent: str) -> requests.Session:
    """A session for one thread; it uses no proxy and no password from the environment."""
    session = _Session()
    session.trust_env = False  # a proxy would resolve names for us, unchecked
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))  # none outlives a picture
    session.headers.update(
        {"User-Agent": user_agent, "Accept": "image/*,*/*;q=0.5", "Accept-Encoding": "identity"}
    )
    for scheme in ("http://", "https://"):
        session.mount(scheme, _Adapter(wire))
    return session

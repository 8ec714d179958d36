"""Who may ask: the checks that a request passes before anything of it is read.

A page of somebody else's, open in the browser of a person who runs this server, must not reach it. Such a page may send
a form, text or CSV anywhere without being asked, and its own name may be pointed at 127.0.0.1. So the name in Host must
be one of ours, and what browsers say of where a request comes from must be this server itself.
"""

import hmac
import ipaddress
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from gipi.errors import UsageError, reason_of
from gipi.messages import _
from gipi.server.limits import Limits
from gipi.server.refusal import RefusedError

LOCAL = ("localhost", "127.0.0.1", "::1")
OPEN = ("/", "/healthz", "/favicon.ico")  # without a key: they say nothing of the model
ONCE = (b"host", b"content-length", b"content-type", b"authorization", b"x-api-key", b"origin")
SHORTEST_KEY = 16
MOST_KEYS = 1000
MOST_CLIENTS = 10_000  # of which it is known how much they asked
MOST_HOSTS = 1000  # names in Host that are known already
LONGEST_HOST = 262  # bytes: a name, a colon, a port
FROM_HERE = (b"same-origin", b"none")  # Sec-Fetch-Site: this page, or typed by a person

Headers = Mapping[bytes, bytes]


@dataclass
class Guard:
    """What a server asks of a request.

    Attributes:
        hosts: Names that Host may have, besides addresses in numbers and `localhost`; ("*",): any.
        keys: Hashes of the keys, one of which a request must bring; none: no key is asked for.
        limits: How much one client may ask.
    """

    hosts: tuple[str, ...] = ()
    keys: tuple[bytes, ...] = ()
    limits: Limits = field(default_factory=Limits)
    buckets: dict[str, tuple[float, float]] = field(default_factory=dict)  # client: requests left, when
    streams: dict[str, int] = field(default_factory=dict)
    names: dict[bytes, bool] = field(default_factory=dict)

    def check(self, method: str, path: str, headers: Headers, client: str) -> None:
        """Let a request pass.

        Raises:
            RefusedError: 400, 401, 403 or 429; says why.
        """
        host = headers.get(b"host", b"")
        if not self._is_known(host):
            raise RefusedError(
                403,
                _(
                    "the name in Host is not one of this server's: {name}; see --allow-host",
                    name=ascii(host[:80])[2:-1],
                ),
            )
        if method != "GET" and method != "HEAD":
            self._check_origin(host, headers)
        is_open = path in OPEN or path.startswith("/page/")
        if self.keys and not is_open:
            self._check_key(headers)
        if self.limits.rate is not None and not is_open:
            self._check_rate(client, self.limits.rate)

    def _is_known(self, host: bytes) -> bool:
        known = self.names.get(host)
        if known is None:
            known = len(host) <= LONGEST_HOST and _is_ours(host, self.hosts)
            if known and len(self.names) < MOST_HOSTS:
                self.names[host] = known
        return known

    def _check_origin(self, host: bytes, headers: Headers) -> None:
        site, origin = headers.get(b"sec-fetch-site"), headers.get(b"origin")
        if site is not None and site.lower() not in FROM_HERE:
            raise RefusedError(403, _("this was sent by another site's page"))
        if origin is not None and origin.lower() not in (b"http://" + host.lower(), b"https://" + host.lower()):
            raise RefusedError(403, _("this was sent by another site's page"))

    def _check_key(self, headers: Headers) -> None:
        given = headers.get(b"x-api-key")
        if given is None:
            scheme, _space, given = headers.get(b"authorization", b"").partition(b" ")
            given = given.strip() if scheme.lower() == b"bearer" else b""
        digest = sha256(given).digest()
        right = False
        for key in self.keys:  # all of them: how long it takes says nothing of which
            right |= hmac.compare_digest(digest, key)
        if not right:
            text = _("a key is needed: send it as the header X-API-Key, or Authorization: Bearer KEY")
            raise RefusedError(401, text, headers=[(b"www-authenticate", b"Bearer")])

    def _check_rate(self, client: str, rate: float) -> None:
        """A bucket for each client, which fills with time."""
        now = time.monotonic()
        left, then = self.buckets.get(client, (float(self.limits.burst), now))
        left = min(float(self.limits.burst), left + (now - then) * rate)
        if left < 1:
            wait = str(max(1, round((1 - left) / rate))).encode()
            text = _("you ask more often than {rate} times a second", rate=f"{rate:g}")
            raise RefusedError(429, text, headers=[(b"retry-after", wait)])
        if len(self.buckets) >= MOST_CLIENTS and client not in self.buckets:
            self.buckets.clear()  # all begin anew, which is in nobody's disfavour
        self.buckets[client] = (left - 1, now)

    def begin_stream(self, client: str) -> None:
        """One more stream of events to this client.

        Raises:
            RefusedError: 429: it has as many as it may.
        """
        if self.streams.get(client, 0) >= self.limits.streams:
            text = _("you have {count} streams open already", count=self.limits.streams)
            raise RefusedError(429, text, headers=[(b"retry-after", b"1")])
        self.streams[client] = self.streams.get(client, 0) + 1

    def end_stream(self, client: str) -> None:
        self.streams[client] -= 1
        if not self.streams[client]:
            del self.streams[client]


def single(headers: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """The headers by name.

    Raises:
        RefusedError: 400: one is there twice of which only one can count.
    """
    found = dict(headers)
    if len(found) < len(headers):
        names = [name for name, _value in headers]
        for name in ONCE:
            if names.count(name) > 1:
                raise RefusedError(400, _("the header {name} is there twice", name=name.decode()))
    return found


def _is_ours(host: bytes, hosts: tuple[str, ...]) -> bool:
    """Whether a Host is one of ours. An address in numbers always is: no name was pointed at us then."""
    if hosts == ("*",):
        return True
    try:
        text = host.decode("ascii").lower()
    except UnicodeDecodeError:
        return False
    if text.startswith("["):
        name, bracket, port = text[1:].partition("]")
        port = port.removeprefix(":")
        if not bracket:
            return False
    else:
        name, _colon, port = text.partition(":")
    if port and not (port.isdigit() and len(port) <= 5):
        return False
    if name in LOCAL or name in hosts:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def check_hosts(hosts: tuple[str, ...]) -> None:
    """Names as Host has them, without scheme and port.

    Raises:
        UsageError: One is not.
    """
    for name in hosts:
        if name != "*" and not re.fullmatch(r"[A-Za-z0-9._-]+", name):
            raise UsageError(
                _("--allow-host takes names as models.example, without port; '{name}' came", name=name[:80])
            )
    if "*" in hosts and len(hosts) > 1:
        raise UsageError(_("--allow-host * is all there can be: any name is taken"))


def read_keys(path: str | Path) -> tuple[bytes, ...]:
    """The hashes of the keys in a file, one on each line; empty lines and lines that begin with # are passed over.

    Raises:
        UsageError: It cannot be read, has no key, or one that is too short to be safe.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise UsageError(_("cannot read {path}: {reason}", path=path, reason=reason_of(error))) from error
    except UnicodeDecodeError as error:
        raise UsageError(_("{path} is not UTF-8", path=path)) from error
    keys = [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]
    if not keys or len(keys) > MOST_KEYS:
        text = _(
            "{path}: 1 to {most} keys were expected, one on each line; {came} came",
            path=path,
            most=MOST_KEYS,
            came=len(keys),
        )
        raise UsageError(text)
    for number, key in enumerate(keys, 1):
        if len(key) < SHORTEST_KEY or not key.isascii() or not key.isprintable() or " " in key:
            text = _(
                "{path}: key {number} must have at least {least} letters, ASCII without spaces; make one with"
                " python -c 'import secrets; print(secrets.token_urlsafe())'",
                path=path,
                number=number,
                least=SHORTEST_KEY,
            )
            raise UsageError(text)
    return tuple(sha256(key.encode()).digest() for key in keys)

"""Download one file: resumed where it was broken off, checked against its SHA-256, and only then given its name.

The bytes gather in `NAME.part` beside the target; a lock lets one process at a time write to it, and the next one finds
the finished file. Only https is spoken (http to this machine itself, for tests), also after a redirect.
"""

import contextlib
import errno
import hashlib
import http.client
import ipaddress
import os
import shutil
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from gipi.errors import DataError
from gipi.messages import _

Progress = Callable[[int, int | None], None]  # bytes so far, bytes in all or None if the server does not say

CHUNK = 1 << 18
ATTEMPTS = 5
MOST_BYTES = 4 << 30  # where the size is not known beforehand


def cache_folder() -> Path:
    """Where fetched files are kept: `~/.cache/gipi`, or what the system's own rule says."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA")
        return (Path(base) if base else Path.home() / "AppData" / "Local") / "gipi" / "cache"
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".cache") / "gipi"


def fetch(
    address: str,
    sha256: str,
    target: Path,
    progress: Progress | None = None,
    timeout: float = 30.0,
    size: int | None = None,
    pause: float = 0.5,
) -> Path:
    """The file at this address, downloaded if `target` is not that file already.

    Args:
        address: https://...
        sha256: What the file must hash to, in hexadecimal; or how that begins, where no more is known.
        target: Where it goes; folders are made.
        progress: Called with the bytes so far and in all, after each piece.
        timeout: Seconds without a byte after which an attempt ends.
        size: The file's length in bytes, if known; more are never written.
        pause: Seconds before the second attempt; doubled before each further one.

    Raises:
        DataError: It cannot be had, or is not what it should be; says what was tried and what to do.
    """
    _check_address(address, None)
    try:
        if _is(hash_of(target), sha256):
            return target
        target.parent.mkdir(parents=True, exist_ok=True)
        with alone(target.with_name(f".{target.name}.lock")):
            if not _is(hash_of(target), sha256):  # another process may have finished it while this one waited
                _download(address, sha256, target, progress, timeout, size, pause)
    except OSError as error:
        raise _cannot_write(error, target, size) from error
    return target


def hash_of(path: Path) -> str | None:
    """The SHA-256 of a file in hexadecimal; None if there is no such file."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None


def _is(found: str | None, sha256: str) -> bool:
    """Whether a file's hash is the one that is meant."""
    return found is not None and found.startswith(sha256)


class _BrokenOffError(Exception):
    """An attempt that is worth another one."""


def _download(
    address: str,
    sha256: str,
    target: Path,
    progress: Progress | None,
    timeout: float,
    size: int | None,
    pause: float,
) -> None:
    part = target.with_name(target.name + ".part")
    last = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(pause * 2 ** (attempt - 1))
        try:
            resumed = _receive(address, part, progress, timeout, size)
        except _BrokenOffError as error:
            last = str(error)
            continue
        if _is(found := hash_of(part), sha256):
            os.replace(part, target)
            return
        part.unlink(missing_ok=True)
        if not resumed:
            raise DataError(
                _(
                    "{address} gave a file with SHA-256 {found}; expected {expected}. It was changed or damaged on "
                    "its way and was deleted; get the file from elsewhere and put it at {target}.",
                    address=address,
                    found=found,
                    expected=sha256,
                    target=target,
                )
            )
        last = _("the resumed file is not the one that was begun")
    raise DataError(
        _(
            "{address} could not be fetched after {count} attempts ({what}). Check the connection and try again: "
            "it goes on where it stopped; or put the file at {target}.",
            address=address,
            count=ATTEMPTS,
            what=last,
            target=target,
        )
    )


def _receive(address: str, part: Path, progress: Progress | None, timeout: float, size: int | None) -> bool:
    """One attempt: append what is missing to the part file. Whether it began with what was there already."""
    start = part.stat().st_size if part.exists() else 0
    if start and start == size:
        return True
    headers = {"User-Agent": "gipi", "Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    try:
        with _opener(address).open(urllib.request.Request(address, headers=headers), timeout=timeout) as response:
            if start and response.status == 206:
                total = _total(response.headers.get("Content-Range", ""), start, address)
            else:  # a server that knows no ranges begins again
                start = 0
                length = response.headers.get("Content-Length", "")
                total = int(length) if length.isdigit() else None
            _write(response, part, start, total, size, progress, address)
            return start > 0
    except urllib.error.HTTPError as error:
        with error:
            return _refused(error, address, part, start)
    except urllib.error.URLError as error:
        raise _BrokenOffError(str(error.reason)) from error
    except (TimeoutError, ConnectionError, http.client.HTTPException) as error:
        raise _BrokenOffError(str(error) or type(error).__name__) from error


def _refused(error: urllib.error.HTTPError, address: str, part: Path, start: int) -> bool:
    """What an HTTP status of 300 and more means: try again, or give up."""
    if (
        error.code == 416 and start
    ):  # nothing beyond what is there: it is whole, which the hash will tell, or not the file
        return True
    if error.code in (408, 425, 429) or error.code >= 500:
        raise _BrokenOffError(f"HTTP {error.code} {error.reason}") from error
    raise DataError(
        _(
            "{address} answers {code} {reason}; the file is not there.",
            address=address,
            code=error.code,
            reason=error.reason,
        )
    ) from error


def _total(content_range: str, start: int, address: str) -> int | None:
    """The length of the whole file, from `bytes 100-199/200`, which must begin where we asked."""
    unit, _space, rest = content_range.partition(" ")
    span, _slash, total = rest.partition("/")
    if unit != "bytes" or span.partition("-")[0] != str(start) or not (total.isdigit() or total == "*"):
        raise DataError(
            _(
                "{address} was asked to go on at byte {start} but answers with '{found}'; "
                "delete the .part file and try again.",
                address=address,
                start=start,
                found=content_range,
            )
        )
    return int(total) if total.isdigit() else None


def _write(
    response: Any, part: Path, start: int, total: int | None, size: int | None, progress: Progress | None, address: str
) -> None:
    """The body, appended from `start` on."""
    most = size or MOST_BYTES
    if total is not None and (total > most or (size and total != size)):
        raise DataError(
            _(
                "{address} is {total} bytes long; expected {most}. Nothing was written.",
                address=address,
                total=total,
                most=most,
            )
        )
    if total and shutil.disk_usage(part.parent).free < total - start:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    done = start
    with part.open("r+b" if start else "wb") as file:
        file.seek(start)
        if progress:
            progress(done, total)
        while chunk := _read(response):
            done += len(chunk)
            if done > most:
                raise DataError(
                    _("{address} gives more than {most} bytes; it is not the file.", address=address, most=most)
                )
            file.write(chunk)
            if progress:
                progress(done, total)
        file.flush()
        os.fsync(file.fileno())
    if total is not None and done < total:
        raise _BrokenOffError(_("broken off after {done} of {total} bytes", done=done, total=total))


def _read(response: Any) -> bytes:
    try:
        return response.read(CHUNK)
    except (OSError, http.client.HTTPException) as error:  # the network's, not the disk's
        raise _BrokenOffError(str(error) or type(error).__name__) from error


# --- addresses ---------------------------------------------------------------------------------------------------


def _is_loopback(host: str | None) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def _check_address(address: str, came_from: str | None) -> None:
    """https to anywhere; http only to this machine, and not by a redirect from elsewhere."""
    parts = urllib.parse.urlsplit(address)
    from_here = came_from is None or _is_loopback(urllib.parse.urlsplit(came_from).hostname)
    stays_here = from_here and _is_loopback(parts.hostname)
    if (parts.scheme == "https" and parts.hostname) or (parts.scheme == "http" and stays_here):
        return
    if came_from:
        raise DataError(
            _(
                "{origin} redirects to {address}, which is not https; it was not followed.",
                origin=came_from,
                address=address,
            )
        )
    raise DataError(_("{address} is not an https address; only those are fetched.", address=address))


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Redirects keep the rule for addresses."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        _check_address(newurl, req.full_url)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener(address: str) -> urllib.request.OpenerDirector:
    """Proxies of the environment are used, but never to reach this machine itself."""
    here = _is_loopback(urllib.parse.urlsplit(address).hostname)
    return urllib.request.build_opener(_Redirects, *([urllib.request.ProxyHandler({})] if here else []))


# --- disk --------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """Only one process (or thread) at a time is inside; the system lets go when a process dies."""
    with path.open("a+b") as file:
        while not _try_lock(file):
            time.sleep(0.1)
        yield  # closing the file lets go of it


def _try_lock(file: IO[bytes]) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN, errno.EDEADLK):
            return False
        raise
    return True


def _cannot_write(error: OSError, target: Path, size: int | None) -> DataError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT if hasattr(errno, "EDQUOT") else errno.ENOSPC):
        return DataError(
            _(
                "The disk of {folder} is full; {size} are needed. Make room, or set XDG_CACHE_HOME to another folder.",
                folder=target.parent,
                size=_("{count} MB", count=-(-size // 1_000_000)) if size else _("more bytes"),
            )
        )
    return DataError(
        _("{path} cannot be written ({what}).", path=error.filename or target, what=error.strerror or error)
    )

"""What a request is refused with: a status, a sentence, and where it helps the rows and fields that are wrong."""

from typing import Any

Headers = list[tuple[bytes, bytes]]

SAFE: Headers = [
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
]


class RefusedError(Exception):
    """A request that is not answered.

    Args:
        status: Of HTTP.
        text: What came, what was expected, what to do.
        details: `{"row", "field", "error"}` of what is wrong, the first of them.
        headers: That go with it.
    """

    def __init__(
        self,
        status: int,
        text: str,
        details: list[dict[str, Any]] | None = None,
        headers: Headers | None = None,
    ):
        super().__init__(text)
        self.status = status
        self.text = text
        self.details = details
        self.headers: Headers = headers or []

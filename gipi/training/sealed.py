"""A JSON record with its own checksum at its end, so that a flipped bit is noticed and not believed.

The last field, "sum", is the sha256 of everything before it, byte for byte; the file stays JSON that anybody can read.
"""

import hashlib
import json
from typing import Any

MARK = b',\n "sum": "'


def seal(record: dict[str, Any]) -> bytes:
    """The record as JSON, a line for each field, sealed."""
    text = json.dumps(record, indent=1, ensure_ascii=False, allow_nan=True).encode().removesuffix(b"\n}")
    return text + MARK + hashlib.sha256(text).hexdigest().encode() + b'"\n}'


def unseal(content: bytes) -> Any:
    """What was sealed; a record of format 1 had no seal and is taken as it is.

    Raises:
        ValueError: It is not what was sealed.
    """
    text, mark, end = content.rpartition(MARK)
    if mark and end == hashlib.sha256(text).hexdigest().encode() + b'"\n}':
        return json.loads(text + b"\n}")
    record = json.loads(content)
    if isinstance(record, dict) and ("sum" in record or record.get("format") != 1):
        raise ValueError("its checksum does not hold")
    return record

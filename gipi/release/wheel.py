"""gipi itself as a wheel, made of the files that run here: what a container gets is what was tried here.

A wheel of pure Python is a zip of the package and of a folder that names and counts what is in it (PEP 427, PEP 491),
so no build tool and no index is needed. The same files give the same bytes.
"""

import base64
import hashlib
import io
import zipfile
from pathlib import Path

import gipi

DATE = (1980, 1, 1, 0, 0, 0)  # the first that a zip can say
PYTHON = ">=3.11"


def wheel_name() -> str:
    """`gipi-0.1.0-py3-none-any.whl`."""
    return f"gipi-{gipi.__version__}-py3-none-any.whl"


def wheel() -> bytes:
    """The wheel.

    It names no requirements: which of them are needed depends on what the model needs, and requirements.txt says that.
    """
    home = Path(gipi.__file__).parent
    files = {
        path.relative_to(home.parent).as_posix(): path.read_bytes()
        for path in sorted(home.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }
    about = f"gipi-{gipi.__version__}.dist-info"
    files[f"{about}/METADATA"] = (
        f"Metadata-Version: 2.1\nName: gipi\nVersion: {gipi.__version__}\nRequires-Python: {PYTHON}\n"
        "License: Apache-2.0\n"
    ).encode()
    files[f"{about}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: gipi\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files[f"{about}/entry_points.txt"] = b"[console_scripts]\ngipi = gipi.cli.main:run\n"
    record = f"{about}/RECORD"
    lines = [f"{name},sha256={_digest(content)},{len(content)}" for name, content in files.items()]
    files[record] = "\n".join([*lines, f"{record},,", ""]).encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, DATE)
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()

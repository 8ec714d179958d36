"""The stored zip: byte for byte what zipfile writes, and nothing else is read."""

import hashlib
import io
import os
import random
import struct
import zipfile

import numpy as np
import pytest

from gipi.release import stored
from gipi.release.refused import Refused

EARLIEST = (1980, 1, 1, 0, 0, 0)
ALL = dict.fromkeys(stored.NAMES, 1 << 30)
PARTS = {"bundle.json": b'{"a": 1}', "weights.safetensors": os.urandom(2_500_000), "examples.json": b""}


def by_zipfile(parts: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in parts.items():
            archive.writestr(zipfile.ZipInfo(name, EARLIEST), content)
        archive.comment = bytes(64)
    content = buffer.getvalue()[:-64]
    return content + hashlib.sha256(content).hexdigest().encode()


@pytest.mark.parametrize("names", [[], ["bundle.json"], list(PARTS), ["weights.safetensors", "examples.json"]], ids=str)
def test_writes_what_zipfile_writes_and_reads_it_back(tmp_path, names):
    parts = {name: PARTS[name] for name in names}
    written = b"".join(
        stored.packed([(name, [content[:7], memoryview(content)[7:]]) for name, content in parts.items()])
    )
    expected = by_zipfile(parts)
    if os.name != "nt":  # there zipfile says that it is another system
        assert written == expected
    path = tmp_path / "a.gipi"
    path.write_bytes(written)
    found = stored.read(path, ALL)
    assert {name: bytes(content) for name, content in found.items()} == parts
    assert all(content.ctypes.data % 64 == 0 for content in found.values() if content.size)
    assert zipfile.ZipFile(path).testzip() is None


def test_only_what_is_asked_for_is_kept_and_nothing_too_large(tmp_path):
    path = tmp_path / "a.gipi"
    path.write_bytes(by_zipfile(PARTS))
    assert set(stored.read(path, {"bundle.json": 8})) == {"bundle.json"}
    with pytest.raises(Refused, match=r"bundle\.json is too large: 8 bytes"):
        stored.read(path, {"bundle.json": 7})


class At(io.BytesIO):
    """A file that begins far behind."""

    def __init__(self, start: int):
        super().__init__()
        self.start = start

    def tell(self) -> int:
        return self.start + super().tell()


@pytest.mark.parametrize("second", [7, 2**31 + 5, 5 * 2**32])
@pytest.mark.parametrize("first", [100, 2045222520, 2045222521, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**40])
def test_headers_of_large_parts_are_those_of_zipfile(first, second):
    """Sizes are pretended: zipfile's own methods write the headers."""
    place, known, archive = 0, [], zipfile.ZipFile(io.BytesIO(), "w")
    for name, size, crc in (
        ("bundle.json", first, 5),
        ("weights.safetensors", second, 2**32 - 1),
        ("examples.json", 9, 1),
    ):
        info = zipfile.ZipInfo(name, EARLIEST)
        info.CRC, info.file_size, info.compress_size = crc, size, size
        info.header_offset, info.external_attr, info.create_system = place, 0o600 << 16, 3
        part = stored._Part(name, crc, size, place)
        header = stored._header(part)
        assert header == info.FileHeader(size * 1.05 > zipfile.ZIP64_LIMIT)
        archive.filelist.append(info)
        known.append(part)
        place += len(header) + size
    archive.start_dir, archive._comment, archive.fp = place, b"", At(place)
    archive._write_end_record()
    expected = archive.fp.getvalue()
    archive.fp = None
    assert stored._directory(known, place) == expected[:-2] + struct.pack("<H", 64)


def test_a_file_of_four_gigabytes_is_read(tmp_path):
    """Sparse: nothing of it lies on the disk; read without keeping it, and its checksums are true."""
    path, size = tmp_path / "large.gipi", (1 << 31) + 4096
    crc, digest = 0x1, hashlib.sha256()
    import zlib

    zeros, crc = bytes(1 << 20), 0
    for begin in range(0, size, 1 << 20):
        crc = zlib.crc32(memoryview(zeros)[: size - begin], crc)
    part = stored._Part("weights.safetensors", crc, size, 0)
    header = stored._header(part)
    directory = stored._directory([part], len(header) + size)
    digest.update(header)
    for begin in range(0, size, 1 << 20):
        digest.update(memoryview(zeros)[: size - begin])
    digest.update(directory)
    with open(path, "wb") as file:
        file.write(header)
        file.seek(size, os.SEEK_CUR)
        file.write(directory + digest.hexdigest().encode())
    assert stored.read(path, {}) == {}
    with zipfile.ZipFile(path) as archive:
        assert archive.getinfo("weights.safetensors").file_size == size


test_a_file_of_four_gigabytes_is_read = pytest.mark.slow(test_a_file_of_four_gigabytes_is_read)


def test_each_changed_byte_is_noticed(tmp_path):
    """Every byte of a small bundle, and each place where it may be cut."""
    content, path, draws = (
        by_zipfile({"bundle.json": b"{}", "examples.json": b"[]"}),
        tmp_path / "a.gipi",
        random.Random(0),
    )
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1 << draws.randrange(8)
        for wrong in (bytes(changed), content[:place], content[:place] + b"\0" + content[place:]):
            path.write_bytes(wrong)
            with pytest.raises(Refused):
                stored.read(path, ALL)


def test_pipes_and_folders_are_no_files(tmp_path):
    with pytest.raises((Refused, OSError)):
        stored.read(tmp_path, ALL)
    with pytest.raises(OSError):
        stored.read(tmp_path / "missing", ALL)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(Refused, match="it is not a file"):
            stored.read(tmp_path / "pipe", ALL)  # and does not wait for a writer
        with pytest.raises(Refused, match="it is not a file"):
            stored.read("/dev/zero", ALL)


class Growing:
    """A file that changes while it is read: on the second read it is shorter, or longer."""

    def __init__(self, file, by: bytes | int):
        self.file, self.by, self.reads = file, by, 0

    def fileno(self) -> int:
        return self.file.fileno()

    def read(self, size: int) -> bytes:
        return self.file.read(size)

    def readinto(self, room) -> int:
        self.reads += 1
        if self.reads == 4:
            if isinstance(self.by, bytes):
                os.pwrite(self.file.fileno(), self.by, os.fstat(self.file.fileno()).st_size)
            else:
                os.ftruncate(self.file.fileno(), self.by)
        return self.file.readinto(room)


@pytest.mark.skipif(not hasattr(os, "pwrite"), reason="this system has no pwrite")
@pytest.mark.parametrize("by", [b"more", 500_000], ids=["grows", "shrinks"])
def test_a_file_that_changes_meanwhile_is_refused(tmp_path, by):
    path = tmp_path / "a.gipi"
    path.write_bytes(by_zipfile(PARTS))
    with open(path, "r+b", buffering=0) as file, pytest.raises(Refused):
        stored._File(Growing(file, by)).parts(ALL)


def test_memory_is_taken_for_what_is_there_alone(tmp_path):
    """A header that asks for 2^62 bytes gets none."""
    path = tmp_path / "a.gipi"
    size = 1 << 62
    head = struct.pack("<4s5H3I2H", b"PK\3\4", 45, 0, 0, 0, 33, 0, 2**32 - 1, 2**32 - 1, 11, 20)
    path.write_bytes(head + b"bundle.json" + struct.pack("<HHQQ", 1, 16, size, size) + bytes(1000))
    with pytest.raises(Refused, match=r"bundle\.json is cut short"):
        stored.read(path, {"bundle.json": 1 << 63})


def test_parts_in_memory_are_writable_arrays_of_bytes(tmp_path):
    path = tmp_path / "a.gipi"
    path.write_bytes(by_zipfile(PARTS))
    found = stored.read(path, ALL)["weights.safetensors"]
    assert found.dtype == np.uint8 and found.flags.c_contiguous

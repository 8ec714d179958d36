"""How much memory this process may still take: of the machine, of its container, and by its own limits.

What would take more than half of that is not read whole: a table goes to column files, pictures to one array on disk,
and training gathers its batches from there. The weights are the same, so the rule may look at the machine as it is now.
"""

import os
from pathlib import Path

SHARE = 0.5  # of the available memory that a run may take for its data


def available() -> int:
    """Bytes that may still be taken, by the strictest of all limits that can be seen."""
    return max(0, min([_of_machine(), *_of_limits(), *_of_groups()]))


def is_large(most: int) -> bool:
    """Whether a run that takes so many bytes at its peak should leave its data on disk."""
    return most > SHARE * available()


def _of_machine() -> int:
    for line in _lines("/proc/meminfo"):
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, ValueError, OSError):  # Windows
        return 8 << 30


def _of_limits() -> list[int]:
    """What `ulimit -d` and `ulimit -v` leave."""
    try:
        import resource
    except ImportError:
        return []
    taken = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in _lines("/proc/self/status") if "kB" in line}
    found = []
    for kind, used in ((resource.RLIMIT_DATA, "VmData"), (resource.RLIMIT_AS, "VmSize")):
        soft = resource.getrlimit(kind)[0]
        if soft != resource.RLIM_INFINITY:
            found.append(soft - taken.get(used, 0))
    return found


def _of_groups() -> list[int]:
    """What the control groups of this process and those above them leave: a container's or a job's limit."""
    found = []
    for line in _lines("/proc/self/cgroup"):
        _number, kinds, name = line.split(":", 2)
        if kinds in ("", "memory"):
            root = Path("/sys/fs/cgroup") / kinds
            limit, used = (
                ("memory.limit_in_bytes", "memory.usage_in_bytes") if kinds else ("memory.max", "memory.current")
            )
            folder = root / name.lstrip("/")
            for place in (folder, *folder.parents):
                most, now = _lines(str(place / limit)), _lines(str(place / used))
                if most and most[0].isdigit() and now and int(most[0]) < 1 << 60:
                    cached = _cached(place / "memory.stat")
                    found.append(int(most[0]) - int(now[0]) + cached)
                if place == root:
                    break
    return found


def _cached(stat: Path) -> int:
    """Bytes that a group only holds because nobody else wants them: files that were read."""
    return sum(
        int(line.split()[1]) for line in _lines(str(stat)) if line.split()[0] in ("inactive_file", "active_file")
    )


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return []

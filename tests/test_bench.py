"""The benchmarks: their command lines, how ratios are taken, and the table that is written from what they keep.

The peers are not installed where tests run; `make bench BENCH=--quick` tries the measurements themselves.
"""

import json
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest

BENCH = Path(__file__).parent.parent / "bench"
SCRIPTS = sorted(path.stem for path in BENCH.glob("*.py") if "__main__" in path.read_text(encoding="utf-8"))


@pytest.fixture
def modules(monkeypatch):
    """bench/turns.py and bench/table.py: scripts beside each other, no package."""
    monkeypatch.syspath_prepend(str(BENCH))
    import table
    import turns

    yield turns, table
    for name in ("turns", "table"):
        sys.modules.pop(name, None)


def section_of(turns, ours: list[float], peers: list[float]) -> dict:
    figures = [turns.Figure("ours", "theirs", most=1.5), turns.Figure("theirs", "ours", least=2)]
    bench = turns.Bench("step", {}, figures, "µs")
    found = {"ours": [{"time": t, "memory": 10.0} for t in ours], "theirs": [{"time": t} for t in peers]}
    return turns.summary(bench, Namespace(sizes={"epochs": 60}, turns=3, threads=1, quick=False), found)


def test_ratios_are_taken_turn_by_turn(modules):
    turns, _table = modules
    section = section_of(turns, [1.0, 20.0, 3.0], [2.0, 30.0, 3.0])
    reached = [figure["reached"] for figure in section["figures"]]
    assert reached[0] == {"median": 0.6667, "low": 0.5, "high": 1.0}
    assert reached[1] == {"median": 1.5, "low": 1.0, "high": 2.0}
    assert [turns.is_reached(figure) for figure in section["figures"]] == [True, False]


@pytest.mark.parametrize(
    ("language", "missed", "yes"), [("en", "Short of", "| yes |"), ("ko", "미치지 못한", "| 도달 |")]
)
def test_page_says_what_was_asked_reached_and_missed(modules, language, missed, yes):
    turns, table = modules
    section = section_of(turns, [1.0, 20.0, 3.0], [2.0, 30.0, 3.0])
    held = {"machine": {"processor": "P", "cores": 2, "system": "Linux"}, "sections": {"step": section}}
    part = table.page_part([json.loads(json.dumps(held))], language)
    assert missed in part and "theirs ÷ ours 1.5 (≥ 2)" in part
    assert "| ours ÷ theirs | ≤ 1.5 | 0.667 (0.5 … 1) " + yes in part
    assert "python bench/step.py" in part
    page = f"above\n{table.BEGIN}\nold\n{table.END}\nbelow\n"
    written = table.with_part(page, part)
    assert written.startswith("above\n") and written.endswith("below\n") and "old" not in written
    assert table.with_part(written, part) == written


def test_numbers_are_read_without_exponents(modules):
    _turns, table = modules
    assert [table.number(value) for value in (0.01234, 1.666, 99.96, 12345.6)] == ["0.0123", "1.67", "100", "12,346"]


@pytest.mark.parametrize("language", ["en", "ko"])
def test_stored_results_fit_the_pages(modules, language):
    """Every section that was ever kept has its words in both languages, and the pages have their markers."""
    turns, table = modules
    results = [json.loads(path.read_text(encoding="utf-8")) for path in turns.RESULTS.glob("*.json")]
    part = table.page_part(results, language)
    assert part
    assert table.with_part(table.PAGES[language].read_text(encoding="utf-8"), part)


@pytest.mark.parametrize("name", SCRIPTS)
def test_help(name):
    done = subprocess.run([sys.executable, BENCH / f"{name}.py", "--help"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "usage" in done.stdout


def test_a_number_may_be_asked_for_by_itself(modules):
    turns, table = modules
    bench = turns.Bench("serve", {}, [turns.Figure("gipi", most=25.0, name="p99")], "µs")
    found = {"gipi": [{"time": 90.0, "p99": value} for value in (8.0, 30.0, 26.0)]}
    section = turns.summary(bench, Namespace(sizes={}, turns=3, threads=1, quick=False), found)
    assert section["figures"][0]["reached"] == {"median": 26.0, "low": 8.0, "high": 30.0}
    held = {"machine": {"processor": "P", "cores": 2, "system": "Linux"}, "sections": {"serve": section}}
    assert "| gipi, p99, ms | ≤ 25 | 26 (8 … 30) | **no** |" in table.page_part([held], "en")


def test_client_for_load_reads_answers_and_keeps_connections(monkeypatch):
    """bench/asking.py against a server that answers in pieces, twice on a connection, then ends it."""
    monkeypatch.syspath_prepend(str(BENCH))
    import asyncio

    from asking import Client, post

    connections = []

    async def answer(reader, writer):
        connections.append(writer)
        for ending in ("", "Connection: close\r\n"):
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]))
            for piece in (f"HTTP/1.1 503 Busy\r\n{ending}Content-", "Length: 4\r\n\r\nab", "cd"):
                writer.write(piece.encode())
                await writer.drain()
                await asyncio.sleep(0.005)
        writer.close()

    async def ask():
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            client = Client(server.sockets[0].getsockname()[1], most=1)
            seen = [await client.ask(post("/predict", b'{"rows": []}')) for _request in range(4)]
            return seen, client.refused

    seen, refused = asyncio.run(ask())
    sys.modules.pop("asking", None)
    assert [status for status, _seconds in seen] == [503] * 4
    assert all(seconds > 0.009 for _status, seconds in seen)
    assert (len(connections), refused) == (2, 0)

"""What a server does that is asked for 20 times as much as it can answer: `gipi serve`, slowed to 50 ms for each batch.

    python bench/serve_load.py [--quick] [--turns 3] [--seconds 10] [--rows 8] [--times 20]

Its capacity is measured first, by as many at once as its batches take, and how long it takes with nobody else there.
Then requests come in open loop: at their own times, whether the server keeps up or not. Asked is that those it turns
away are told so at once, that it goes on to answer as many as it can, and that whoever comes after the load is answered
as quickly as before it. Times are those of the client, who shares the cores with the server, from the moment that a
request is written; the server's own are shorter.
"""

import argparse
import asyncio
import statistics
import time
from collections import Counter
from pathlib import Path

from asking import Client, post
from serve_models import works
from served import Served
from turns import Bench, Figure, arguments, say, summary, write

SLOW = 50  # milliseconds that a batch takes
TICK = 0.002  # seconds: so often is looked which requests are due
SHORT = 1.0  # seconds that a measurement without load takes at least
USUAL = 2.5  # times the time that an answer takes with nobody else there: it may have met a batch that had begun
PATIENCE = 30.0  # seconds
HERE = Path(__file__).parent

Seen = list[tuple[float, int, float]]  # (when it was told, status, seconds) of each request


async def alone(client: Client, request: bytes, seconds: float) -> float:
    """The usual time of an answer, one request after the other."""
    took, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end:
        status, spent = await client.ask(request)
        assert status == 200, status
        took.append(spent)
    return statistics.median(took)


async def capacity(client: Client, request: bytes, batch: int, seconds: float) -> float:
    """Answers a second with two batches under way, all the time."""
    answered, began = 0, time.perf_counter()

    async def go_on_asking() -> None:
        nonlocal answered
        while time.perf_counter() - began < seconds:
            status, _spent = await client.ask(request)
            answered += status == 200

    await asyncio.gather(*(go_on_asking() for _ in range(2 * batch)))
    return answered / (time.perf_counter() - began)


async def flood(client: Client, request: bytes, rate: float, seconds: float) -> tuple[Seen, int]:
    """So many requests a second, whatever becomes of them; what was told, and how many were sent."""
    seen: Seen = []
    clock = time.perf_counter

    def told(status: int, spent: float) -> None:
        seen.append((clock(), status, spent))

    began, sent = clock(), 0
    while (passed := clock() - began) < seconds:
        due = int(passed * rate)
        for _request in range(due - sent):
            client.send(request, told)
        sent = due
        await asyncio.sleep(TICK)
    return seen, sent


async def recovery(client: Client, request: bytes, usual: float) -> float:
    """Seconds until one request is answered as quickly as with nobody else there."""
    began = time.perf_counter()
    while (passed := time.perf_counter() - began) < PATIENCE:
        answer = asyncio.ensure_future(client.ask(request))
        done, _waiting = await asyncio.wait([answer], timeout=PATIENCE)
        if done and answer.result()[0] == 200 and answer.result()[1] <= USUAL * usual:
            return passed
        await asyncio.sleep(0.02)
    return PATIENCE


async def overload(port: int, request: bytes, options: argparse.Namespace) -> dict[str, float]:
    """One measurement."""
    client, later = Client(port), Client(port)  # who comes afterwards has a connection of their own
    usual = await alone(later, request, SHORT)
    most = await capacity(client, request, options.rows, max(SHORT, options.seconds / 2))
    began = time.perf_counter()
    seen, sent = await flood(client, request, options.times * most, options.seconds)
    spent = time.perf_counter() - began
    back = await recovery(later, request, usual)
    during = [one for one in seen if one[0] <= began + spent]
    ramp = began + spent / 5  # the queue is filled by then
    kept = sum(status == 200 for when, status, _took in during if when > ramp) / (began + spent - ramp) / most
    turned_away = sorted(took for _when, status, took in seen if status in (503, 429))
    statuses = Counter(status for _when, status, _took in seen)
    print(
        f"capacity {most:.0f} a second; {sent} sent in {spent:.1f} s ({sent / spent / most:.1f} times as many), "
        f"{client.refused} not for want of connections; {dict(statuses)}; alone {1e3 * usual:.1f} ms"
    )
    if strange := set(statuses) - {200, 429, 503}:
        raise SystemExit(f"answers that should not be: {strange} (0: the connection broke)")
    if not turned_away:
        raise SystemExit("nobody was turned away: this was no load")
    client.close()
    later.close()
    return {
        "time": 1e3 * turned_away[len(turned_away) // 2],
        "p99": 1e3 * turned_away[int(0.99 * len(turned_away))],
        "times": sent / spent / most,
        "kept": kept,
        "recovery": back,
    }


def measured(options: argparse.Namespace) -> list[dict[str, float]]:
    found = []
    with works() as work_of:
        work = work_of["table"]
        request = post("/predict", work.bodies[0], work.kind)
        for _turn in range(options.turns):
            command = [
                str(HERE / "serve_peers" / "slow_gipi.py"),
                str(work.path),
                "{port}",
                str(SLOW),
                str(options.rows),
            ]
            with Served(command) as served:
                found.append(run(overload(served.port, request, options)))
    return found


def run(work):
    """By uvloop where it is there: the client is to cost as little as it can."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(work)
    return uvloop.run(work)


FIGURES = [
    Figure("gipi", most=50.0, name="p99"),
    Figure("gipi", least=0.9, name="kept"),
    Figure("gipi", most=2.0, name="recovery"),
]
BENCH = Bench("serve_load", {}, FIGURES, "ms")


def main() -> None:
    options = arguments(__doc__, 3, 1, {"seconds": (10, 3), "rows": (8, 8), "times": (20, 20)})
    section = summary(BENCH, options, {"gipi": measured(options)})
    say(section)
    print(f"written to {write('serve_load', section)}")


if __name__ == "__main__":
    main()

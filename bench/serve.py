"""Requests a second of `gipi serve`, beside three ways in which a person would serve the same network.

    python bench/serve.py [--quick] [--turns 3] [--seconds 10] [--alone 3] [--only NAME ...]

The networks are gipi's: an MLP of 64 and 64 for a table of 20 numbers, a row a request as JSON, and the convolutional
network for grey pictures of 28 by 28, a PNG file a request. The peers are one worker each with one thread for PyTorch:
FastAPI with a pydantic model and `async def`, the same with `def`, and LitServe with its batches. All must give gipi's
answers (label, probability within 1e-4) before anything is measured. Servers take turns; who waits is held still.
wrk asks over 32 connections, then over one (`alone`), on the same cores as the server, which is how it is compared, not
how it would stand in production. `start` is the time from a process's start to the first 200 of /healthz.
"""

import argparse
import contextlib
import json
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from serve_models import Work, check_alike, works
from served import Served
from turns import Bench, Figure, arguments, say, summary, write

CONNECTIONS = 32
WARM = 2  # seconds
HERE = Path(__file__).parent
FASTAPI, LITSERVE = HERE / "serve_peers" / "fastapi_server.py", HERE / "serve_peers" / "litserve_server.py"
BATCHING = {"table": ("16", "0", "fast"), "picture": ("8", "0.001", "fast")}  # of LitServe: what was quickest
LEAST = {"async": {"table": 3.0, "picture": 2.5}, "def": {"table": 4.0, "picture": 4.0}}
LEAST["litserve"] = LEAST["def"]
KINDS = ("table", "picture")


def command_of(way: str, work: Work) -> tuple[list[str], str]:
    """How a server is started, and where it says that it is ready."""
    path = str(work.path)
    if way == "gipi":
        return ["-m", "gipi", "serve", path, "--port", "{port}"], "/healthz"
    if way == "litserve":
        return [str(LITSERVE), work.name, path, "{port}", *BATCHING[work.name]], "/health"
    return [str(FASTAPI), way, work.name, path, "{port}"], "/healthz"


def wrk(served: Served, work: Work, connections: int, seconds: int) -> dict[str, float]:
    """What wrk measured: requests, microseconds, p50 and p99 of the latency."""
    address = f"http://127.0.0.1:{served.port}/predict"
    bodies = [str(work.folder()), str(len(work.bodies)), work.kind]
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(HERE / "post.lua"), address, "--", *bodies]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"wrk failed: {done.stdout}{done.stderr}")
    found = json.loads(done.stdout.splitlines()[-1])
    if found["failed"] or not found["requests"]:
        sys.exit(f"{found['failed']} of {found['requests']} requests failed; the server said:\n{served.said()}")
    return found


def turn(served: Served, work: Work, options: argparse.Namespace) -> dict[str, float]:
    """Microseconds a request, and milliseconds of latency."""
    busy = wrk(served, work, CONNECTIONS, options.seconds)
    alone = wrk(served, work, 1, options.alone)
    return {
        "time": busy["microseconds"] / busy["requests"],
        "requests a second": 1e6 * busy["requests"] / busy["microseconds"],
        "p50": busy["p50"] / 1000,
        "p99": busy["p99"] / 1000,
        "p50 alone": alone["p50"] / 1000,
        "memory": served.memory(),
    }


def start(work: Work) -> float:
    """Seconds until a fresh server of gipi's is healthy; it must not have needed PyTorch."""
    with Served(*command_of("gipi", work)) as served:
        if served.has_loaded("libtorch"):
            sys.exit("gipi serve has imported torch")
        return served.started


def ask_all(name: str, served: Served, work: Work) -> None:
    """Each body once: the answers must be the model's own."""
    answers = []
    for body in work.bodies:
        status, answer = served.ask("POST", "/predict", body, work.kind)
        if status != 200:
            sys.exit(f"{name} answers {status}: {answer[:500]!r}")
        answers += json.loads(answer)["predictions"]
    check_alike(name, work, answers)


def measured(options: argparse.Namespace) -> dict[str, list[dict[str, float]]]:
    found: dict[str, list[dict[str, float]]] = {}
    with contextlib.ExitStack() as stack:
        work_of = stack.enter_context(works())
        servers: dict[str, Served] = {}
        for kind in KINDS:
            for way in ("gipi", *LEAST):
                name = f"{way} {kind}"
                if options.only and name not in options.only:
                    continue
                if way == "litserve" and not find_spec("litserve"):
                    print(f"{name}: left out, litserve is not installed (make bench has an environment with it)")
                    continue
                served = stack.enter_context(Served(*command_of(way, work_of[kind])))
                ask_all(name, served, work_of[kind])
                wrk(served, work_of[kind], CONNECTIONS, WARM)
                served.hold()
                servers[name], found[name] = served, []
                print(f"{name}: its answers are gipi's", flush=True)
        for number in range(options.turns):
            for name, served in servers.items():
                work = work_of[name.split()[1]]
                more = {"start": start(work)} if name.startswith("gipi") else {}
                served.go_on()
                found[name].append(turn(served, work, options) | more)
                served.hold()
                shown = ", ".join(f"{what} {value:.4g}" for what, value in found[name][-1].items())
                print(f"turn {number + 1} {name}: {shown}", flush=True)
    return found


FIGURES = [
    *(Figure(f"{way} {kind}", f"gipi {kind}", least=LEAST[way][kind]) for kind in KINDS for way in LEAST),
    *(
        Figure(f"gipi {kind}", most=most, name=name)
        for kind in KINDS
        for name, most in (("p99", 25.0), ("p50 alone", 1.0), ("start", 1.5))
    ),
]
BENCH = Bench("serve", {}, FIGURES, "µs")


def main() -> None:
    options = arguments(__doc__, 3, 1, {"seconds": (10, 2), "alone": (3, 1)})
    if not shutil.which("wrk"):
        sys.exit("this needs wrk, which asks the servers: apt-get install wrk")
    section = summary(BENCH, options, measured(options))
    say(section)
    if not options.only:
        print(f"written to {write('serve', section)}")


if __name__ == "__main__":
    main()

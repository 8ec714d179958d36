"""`gipi serve`: kept models on the web, for programs as a REST interface and for people as a page."""

import contextlib
import os
import re
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gipi.errors import UsageError
from gipi.messages import _
from gipi.verbs.inspect import bundle_of
from gipi.verbs.load import load

if TYPE_CHECKING:
    from gipi.release.bundle import Runtime
    from gipi.server.engine import Engine
    from gipi.server.limits import Limits

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def serve(
    *sources: Any,
    host: str = "127.0.0.1",
    port: int = 8000,
    workers: int = 1,
    runtime: "Runtime | None" = None,
    allow_host: tuple[str, ...] = (),
    keys: str | Path | None = None,
    tls_certificate: str | None = None,
    tls_key: str | None = None,
    threads: int = 0,
    limits: "Limits | None" = None,
    begun: Callable[[str], None] | None = None,
) -> int:
    """Answer requests with kept models until somebody asks to stop (Ctrl-C, SIGTERM).

    Args:
        sources: Runs, their folders or names, or `.gipi` files; `name=file` gives one a name. The first is the default.
        host: Where to listen; only this machine reaches 127.0.0.1, and 0.0.0.0 is every network it is in.
        port: 0: any that is free.
        workers: Processes that answer; each has the models for itself.
        runtime: "onnx" or "torch"; None: the program where the file has one, which needs no PyTorch; of a run, which
            has none, one is made, and the quicker of program and networks answers.
        allow_host: Names under which the server is reached, besides localhost and addresses in numbers.
        keys: A file of keys, one on each line, one of which every request must then bring.
        tls_certificate: A PEM file, for https.
        tls_key: Its private key.
        threads: That one answer may use; 0: the cores there are for each worker.
        limits: What may be asked for; None: as `gipi.server.limits.Limits` says.
        begun: Called with the address when it answers; None: it is printed.

    Returns:
        The exit code.

    Raises:
        UsageError: It cannot listen there, or an option is wrong.
        RunError: A model cannot be opened.

    Example:
        >>> import gipi
        >>> gipi.serve("grades.gipi")           # doctest: +SKIP
    """
    if not sources:
        raise UsageError(_("a run or a .gipi file was expected"))
    needs_web()
    from gipi.server.counts import Counts
    from gipi.server.guard import LOCAL, Guard, check_hosts, read_keys
    from gipi.server.limits import Limits, check_limits
    from gipi.server.serving import Address, check_tls, listening, serve_until_stopped, state_of
    from gipi.server.workers import check_workers, run_workers

    check_workers(workers)
    named = names_of(sources)
    address = Address(host, port, tls_certificate, tls_key)
    check_tls(address)
    limits = limits or Limits()
    check_limits(limits)
    if threads < 0:
        raise UsageError(_("--threads is 0 or more; {came} came", came=threads))
    if threading.current_thread() is not threading.main_thread():
        raise UsageError(_("gipi.serve runs in the main thread, where signals come; start it in a process of its own"))
    check_hosts(allow_host)
    guard = Guard(tuple(name.lower() for name in allow_host), () if keys is None else read_keys(keys), limits)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = threads or max(1, cores // workers)
    with contextlib.closing(listening(address)) as listener:
        if keys is None and host not in LOCAL:
            text = _("everybody who reaches {host} may ask: --keys FILE lets in only who has a key", host=host)
            print(f"gipi: {text}", file=sys.stderr, flush=True)
        counts = Counts([*named], workers)
        where = _address_of(listener.getsockname(), address.certificate is not None)

        def work(number: int) -> None:
            counts.begin(number)
            engines = [opened(name, source, runtime, threads, limits) for name, source in named.items()]
            say = (begun or _print_address) if number == 0 else _say_nothing
            serve_until_stopped(state_of(engines, guard, limits, counts), address, listener, lambda: say(where))

        if workers > 1:
            return run_workers(workers, work)
        work(0)
        return 0


def opened(name: str, source: Any, runtime: "Runtime | None", threads: int, limits: "Limits") -> "Engine":
    """A model, opened and warm."""
    from gipi.server.engine import AT_ONCE
    from gipi.server.row_types import WHOLE, WRITING

    if hasattr(source, "schema"):  # a model in memory
        from gipi.release.examples import example_rows

        return _settled(name, source, example_rows(source), limits)
    from gipi.release.bundle import held

    path = bundle_of(source)
    found = held(path)
    examples = found.examples.get("rows")
    if runtime == "onnx" or (runtime is None and "program.onnx" in found.parts and _has_onnxruntime()):
        alone = _settled(name, load(path, runtime="onnx", threads=1), examples, limits)
        if threads == 1 or alone.alone <= AT_ONCE:  # so small a network is slower in several threads
            return alone
        return _settled(name, load(path, runtime="onnx", threads=threads), examples, limits)
    model = load(path, runtime=runtime)
    import torch

    torch.set_num_threads(threads)
    networks = _settled(name, model, examples, limits)
    if model.task in ("translate", *WRITING, *WHOLE):
        text = _("{name} has no program, as it writes or reads texts step by step: PyTorch answers", name=name)
        print(f"gipi: {text}", file=sys.stderr, flush=True)
        return networks
    if runtime == "torch" or not hasattr(model, "members"):
        return networks
    from gipi.release.keep import program_beside

    try:
        several = 1 if networks.alone <= AT_ONCE else threads
        program = _settled(name, program_beside(model, several), examples, limits)  # type: ignore[arg-type]  # a Model
    except UsageError:  # it has none, or the extra that makes one is not installed
        return networks
    return min(program, networks, key=lambda engine: engine.seconds / engine.batch)


def _settled(name: str, model: Any, examples: Any, limits: "Limits") -> "Engine":
    from gipi.server.engine import Engine

    engine = Engine(name, model, examples)
    engine.settle(limits.batch)
    return engine


def names_of(sources: tuple[Any, ...]) -> dict[str, Any]:
    """The sources by name: `name=file`, or the name of the file or the run.

    Raises:
        UsageError: Two have one name, or a name is none for an address.
    """
    found: dict[str, Any] = {}
    for source in sources:
        name, equals, rest = str(source).partition("=") if isinstance(source, str) else ("", "", "")
        if equals and NAME.fullmatch(name) and not Path(source).exists():
            source = rest
        else:
            name = _name_of(source)
        if name in found:
            raise UsageError(_("two models have the name {name}; give one another: name=file", name=name))
        if not NAME.fullmatch(name):
            text = _(
                "'{name}' cannot be part of an address; give it a name of letters and digits: name=file", name=name
            )
            raise UsageError(text)
        found[name] = source
    return found


def _name_of(source: Any) -> str:
    if hasattr(source, "schema"):
        return "model"
    path = bundle_of(source)
    name = path.parent.resolve().name if path.name == "model.gipi" else path.stem
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")[:64] or "model"


def needs_web() -> None:
    """The packages of the extra are there.

    Raises:
        UsageError: One is not.
    """
    for package in ("fastapi", "uvicorn", "httptools", "fastapi_swagger"):
        try:
            __import__(package)
        except Exception as error:  # a broken installation raises anything
            raise UsageError(
                _("this needs {package}: {hint}", package=package, hint="pip install 'gipi[web]'")
            ) from error


def _has_onnxruntime() -> bool:
    from gipi.release.session import onnxruntime

    try:
        onnxruntime()
    except UsageError:
        return False
    return True


def _address_of(name: tuple, is_tls: bool) -> str:
    host, port = name[0], name[1]
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"{'https' if is_tls else 'http'}://{host}:{port}/"


def _print_address(where: str) -> None:
    print(_("gipi serves at {address} (Ctrl-C ends it)", address=where), flush=True)


def _say_nothing(where: str) -> None:
    pass

"""`serve`: the model in /opt/ml/model behind SageMaker's three routes, by the server that `gipi serve` is."""

import contextlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from gipi.errors import RunError, UsageError
from gipi.messages import _
from gipi.sagemaker.places import ROOT, Places
from gipi.signals import Stopped, stoppable

PORT = 8080
OF_PORT = "SAGEMAKER_BIND_TO_PORT"  # where several containers share a machine
OF_WORKERS = "SAGEMAKER_MODEL_SERVER_WORKERS"  # processes that answer, as SageMaker's own inference toolkit has it
SUFFIX = ".gipi"


def serve(root: Path = ROOT, port: int | None = None, source: Path | None = None) -> int:
    """Answer until SageMaker says SIGTERM; gives the exit code.

    SageMaker also sets SAGEMAKER_SAFE_PORT_RANGE, ports for whoever needs more than one; nobody does here.

    Args:
        root: /opt/ml.
        port: None: what SageMaker says, or 8080; 0: any that is free.
        source: A bundle; None: the one in the folder `model`.

    Example:
        >>> serve(Path("/opt/ml"))  # doctest: +SKIP
        0
    """
    from gipi.report.text import clean

    try:
        with stoppable():  # while the model is opened: the first process of a container has no other way to be ended
            return _served(source or model_in(Places(root).model), port_from(os.environ) if port is None else port)
    except Stopped as stop:
        return 128 + stop.signal_number
    except (RunError, UsageError) as error:
        print(f"gipi: {clean(error)}", file=sys.stderr, flush=True)
        return 1


def _served(path: Path, port: int) -> int:
    from gipi.verbs.serve import needs_web, opened

    needs_web()
    from gipi.sagemaker.contract import LIMITS, Contract
    from gipi.server.counts import Counts
    from gipi.server.guard import Guard
    from gipi.server.serving import Address, listening, serve_until_stopped, state_of
    from gipi.server.workers import check_workers, run_workers

    workers = number_from(os.environ, OF_WORKERS, 1)
    check_workers(workers)
    address = Address("0.0.0.0", port)
    with contextlib.closing(listening(address)) as listener:
        counts = Counts(["model"], workers)

        def say() -> None:
            print(_("gipi answers at port {port}", port=listener.getsockname()[1]), flush=True)

        def work(number: int) -> None:
            counts.begin(number)
            engine = opened("model", path, None, max(1, (os.cpu_count() or 1) // workers), LIMITS)
            state = state_of([engine], Guard(limits=LIMITS), LIMITS, counts)
            serve_until_stopped(state, address, listener, say if number == 0 else lambda: None, Contract(state))

        if workers > 1:
            return run_workers(workers, work)
        work(0)
        return 0


def model_in(folder: Path) -> Path:
    """The bundle that SageMaker has unpacked.

    Raises:
        RunError: There is none, or there are several.
    """
    found = sorted(path for path in folder.glob(f"*{SUFFIX}") if path.is_file())
    if len(found) == 1:
        return found[0]
    if (folder / "model.gipi").is_file():
        return folder / "model.gipi"
    there = ", ".join(sorted(path.name for path in folder.glob("*"))[:10]) or "-"
    text = _(
        "one .gipi file was expected in {folder}, there is: {there}; gipi export RUN --to sagemaker makes the archive",
        folder=folder,
        there=there,
    )
    raise RunError(text)


def port_from(environment: Mapping[str, str]) -> int:
    """Where SageMaker wants to be answered."""
    return number_from(environment, OF_PORT, PORT)


def number_from(environment: Mapping[str, str], name: str, usual: int) -> int:
    """A whole number that SageMaker says.

    Raises:
        UsageError: It is none.
    """
    said = environment.get(name, "").strip()
    if not said:
        return usual
    if not said.isdecimal() or not 0 < int(said) < 1 << 16:
        raise UsageError(
            _("{name} must be {expected}; '{came}' came", name=name, expected="1 ... 65535", came=said[:60])
        )
    return int(said)

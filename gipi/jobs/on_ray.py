"""A job carried out on a Ray cluster: as many processes as it has GPUs, each what torchrun would have started.

Ray finds the machines and starts the processes; how they train together is as everywhere (training/distributed.py).
Data that is named by a path, and the run's folder, must be on a disk that all machines see.
"""

import os
import socket
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from gipi.errors import DataError, RunError, TrainingError, UsageError
from gipi.jobs.request import Request
from gipi.messages import _, language, use

LOCAL = "local"


def carry_out_on_ray(request: Request) -> Path:
    """Do all that was asked for on the cluster at `--ray`; gives the run's folder.

    Raises:
        UsageError: Ray is not installed, there is no cluster at this address, or it has not so many GPUs.
        TrainingError: A process died; the run can be resumed.
    """
    try:
        import ray  # pyright: ignore[reportMissingImports]
    except Exception as error:  # a broken installation raises anything
        raise UsageError(_("--ray needs Ray: pip install 'gipi[cluster]'")) from error
    options = request.options
    was_there = ray.is_initialized()
    try:
        if not was_there:
            ray.init(None if options.ray == LOCAL else options.ray, log_to_driver=not options.quiet, logging_level=30)
    except Exception as error:
        reason = str(error).partition("\n")[0]
        text = _("there is no Ray cluster at {address}: {reason}", address=options.ray, reason=reason)
        raise UsageError(text) from error
    try:
        return _on_workers(ray, request)
    finally:
        if not was_there:
            ray.shutdown()


def _on_workers(ray: Any, request: Request) -> Path:
    options = request.options
    gpus = int(ray.cluster_resources().get("GPU", 0)) if options.device != "cpu" else 0
    count = options.ray_workers or max(1, gpus)
    if gpus and count > gpus:
        text = _("{count} processes, and the cluster has {gpus} GPUs; leave --ray-workers out", count=count, gpus=gpus)
        raise UsageError(text)
    kind = ray.remote(num_cpus=1, num_gpus=1 if gpus else 0)(Worker)
    workers = [kind.remote(os.getcwd(), language()) for _rank in range(count)]
    places = ray.get([worker.place.remote() for worker in workers])
    beside = Counter(host for host, _port in places)
    host, port = places[0]
    request = replace(request, options=replace(options, ray=None, ray_workers=None))
    answers = []
    for rank, (worker, (own, _port)) in enumerate(zip(workers, places, strict=True)):
        said = {"RANK": rank, "WORLD_SIZE": count, "MASTER_ADDR": host, "MASTER_PORT": port}
        said |= {"LOCAL_RANK": 0, "LOCAL_WORLD_SIZE": beside[own]}  # Ray shows each process its own GPU only
        answers.append(worker.carry_out.remote({name: str(value) for name, value in said.items()}, request))
    try:
        folder, *_beside = [_answer(ray, answer) for answer in answers]
        return Path(folder)
    finally:
        for worker in workers:
            with suppress(Exception):
                ray.kill(worker)


def _answer(ray: Any, answer: Any) -> str:
    """A worker's run folder; what went wrong there is raised here as what it was."""
    try:
        return ray.get(answer)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, (DataError, RunError, TrainingError, UsageError)):
            raise error.cause from None
        raise
    except ray.exceptions.RayActorError as error:
        raise TrainingError(_("a process on the Ray cluster died; go on with: gipi resume RUN")) from error


class Worker:
    """One process on the cluster."""

    def __init__(self, folder: str, speaks: str):
        with suppress(OSError):
            os.chdir(folder)
        use(speaks)

    def place(self) -> tuple[str, int]:
        """The machine's address, and a port that is free there."""
        import ray  # pyright: ignore[reportMissingImports]

        with socket.socket() as probe:
            probe.bind(("", 0))
            return ray.util.get_node_ip_address(), probe.getsockname()[1]

    def carry_out(self, environment: dict[str, str], request: Request) -> str:
        from gipi.jobs.carry import carry_out

        os.environ.update(environment)
        try:
            return str(carry_out(request).absolute())
        except SystemExit:  # the folder is on another machine
            return ""

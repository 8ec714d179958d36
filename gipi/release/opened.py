"""A bundle's program, ready to answer: read and judged by our own rules, tried in a child process, then run here."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from gipi.errors import RunError, UsageError
from gipi.messages import _
from gipi.release import graph
from gipi.release.bundle import Held, check
from gipi.release.described import ANY_SIZE
from gipi.release.graph_rules import check as check_rules
from gipi.release.refused import Refused
from gipi.release.rows import rows_at_once
from gipi.release.runtime import Program, Run
from gipi.release.session import Session
from gipi.release.tensor_file import header
from gipi.release.trial import try_program

if TYPE_CHECKING:
    from gipi.release.model import Model
    from gipi.release.program import Made

SECONDS = 120.0  # that one run of a program may take: some rows of a large network, on a slow machine
MEMORY = 2 << 30  # bytes beyond its weights that a program may take when it is tried with many rows
LARGEST_REACH = 1 << 12
ANSWERS = ("answer", "disagreement", "cluster", "vector", "mask", "picture", "code", "output")  # names of outputs
TABLES = ("classify", "regress", "cluster", "act")  # tried with as many rows as ever go in: memory may grow faster

Array = np.ndarray


def program_of(opened: Held, threads: int = 0) -> Program:
    """The program of a bundle, tried and ready to answer.

    Args:
        opened: The bundle.
        threads: That it may use; 0: as many as there are cores.

    Raises:
        UsageError: It has none, or onnxruntime is not installed.
        Refused: The program is not one that we run, or takes too much when it is tried.
        RunError: It does not give the answers that it was stored with.
    """
    said = opened.described
    if "program.onnx" not in opened.parts:
        why = str(said.program.get("none", "")) or _("it was kept by a run; gipi save RUN FILE makes one")
        raise UsageError(_("{path} has no program: {reason}", path=opened.path, reason=why))
    reach = said.program.get("reach", 0)
    if type(reach) is not int or not 0 <= reach < LARGEST_REACH:
        raise Refused(_("bundle.json is not as it should be: {what}", what="program"))
    content, weights = opened.parts["program.onnx"].tobytes(), opened.weights
    read = graph.read(content)
    check_rules(read, header(opened.parts["weights.safetensors"]))
    if unknown := next((value.name for value in read.outputs if value.name not in ANSWERS), None):
        raise Refused(_("'{name}' is no answer that a program of gipi gives", name=ascii(unknown)[1:-1][:80]))

    def answering(run: Run) -> Program:
        return Program(said.task, said.system, said.schema, said.config, run, said.card, said.extra, reach, opened.sum)

    used = {tensor.name: weights[tensor.name] for tensor in read.tensors if tensor.place is not None}

    def tried(inputs: dict[str, Array]) -> dict[str, Array]:
        rows = next(iter(inputs.values()))
        if rows.ndim != 2 or said.task not in TABLES:
            return try_program(content, used, inputs, memory=MEMORY)
        given = {name: np.resize(one, (rows_at_once(rows), *one.shape[1:])) for name, one in inputs.items()}
        return {name: one[: len(rows)] for name, one in try_program(content, used, given, memory=MEMORY).items()}

    check(answering(tried), opened, 1 if said.task in ANY_SIZE else None)
    return answering(_run(Session(content, weights, threads)))


def program_from(model: "Model", made: "Made", threads: int = 0) -> Program:
    """The program of a model that is about to be kept: our own, so it is not tried."""
    from gipi.release.keep import reach_of

    run = _run(Session(made.program, made.weights, threads))
    return Program(model.task, model.system, model.schema, model.config, run, model.card, model.extra, reach_of(model))


def _run(session: Session) -> Run:
    def run(inputs: Mapping[str, Array]) -> dict[str, Array]:
        try:
            return session.run(inputs, SECONDS)
        except Refused as error:
            raise RunError(str(error)) from error

    return run

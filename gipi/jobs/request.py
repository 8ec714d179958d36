"""What was asked for, and the job it becomes: data opened, task and system chosen, configuration checked."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from gipi.errors import UsageError, nearest
from gipi.jobs.checks import check_system, check_use, checked, flag
from gipi.jobs.options import Fit
from gipi.messages import _

if TYPE_CHECKING:
    from gipi.jobs.job import Job, Setting
    from gipi.release.weight_files import Weights
    from gipi.training.distributed import Ranks
    from gipi.training.folder import Folder

OWN_LOSS = ("classify", "regress", "segment", "upscale", "translate", "write", "chat", "stream")  # a person's may be


@dataclass
class Request:
    """What was asked for, sorted; for `resume` with the folder of the run that goes on."""

    data: Any
    options: Fit
    system_options: dict[str, Any] = field(default_factory=dict)
    own: dict[str, Any] = field(default_factory=dict)
    system: Any = None  # a system of a person's own
    folder: "Folder | None" = None
    progress: Callable[[str, int, int | None], None] | None = None  # told what takes long before the first step
    read: Callable[[Any, str], dict[str, Any]] | None = None  # (system, name) -> its options, from a command line
    ranks: "Ranks | None" = None  # the processes that train together, once they have met

    def __post_init__(self):
        self.options = checked(self.options)


def make_job(request: Request, device: Any) -> "Job":
    """Open the data, choose task and system, and decide all that is decided before the first step."""
    from gipi.data.environments import is_environment
    from gipi.jobs.job import Own
    from gipi.jobs.target import OF_PIXELS, task_asked_for
    from gipi.jobs.trunk import check_trunk
    from gipi.release.weight_files import settled_source

    check_trunk(request.options)
    if request.options.weights is not None:
        request.options = replace(request.options, weights=settled_source(request.options.weights))
    request.options = replace(request.options, task=task_asked_for(request.options))
    options, own = request.options, Own(**request.own)
    if hasattr(request.data, "__next__"):
        from gipi.jobs.streamed import Streamed

        check_use(options, "stream", "", "stream")
        if own.model is None:
            raise UsageError(_("a stream needs model, a torch.nn.Module of one's own"))
        return Streamed(request.data, _setting(request, "stream", "stream", own, device, _weights(request)))
    if is_environment(request.data):
        from gipi.jobs.act import Act

        check_use(options, "act", "", "environment")
        setting = _setting(request, "act", "environment", own, device)
        return Act(request.data, setting)
    if options.task in OF_PIXELS:
        from gipi.jobs.dense import dense_job

        setting = _setting(request, options.task, "picture", own, device, _weights(request))
        return dense_job(request.data, options.task, setting, request.progress)
    from gipi.jobs.text_jobs import text_job, text_task

    weights = _weights(request)
    if task := text_task(request.data, options):
        check_use(options, task, "", "text")
        setting = _setting(request, task, "text", own, device, weights)
        return text_job(request.data, task, setting, request.progress)
    from gipi.jobs.material import gather

    size = options.picture_size or (weights.size if weights else None)
    material = gather(request.data, options, request.progress, size)
    setting = _setting(request, material.task, material.data.kind, own, device, weights)
    if material.task == "cluster":
        from gipi.jobs.cluster import Cluster

        return Cluster(material, setting)
    if material.task == "generate":
        from gipi.jobs.generate import Generate

        return Generate(material, setting)
    if material.task == "embed":
        from gipi.jobs.embed import Embed

        return Embed(material, setting)
    if material.task in ("compress", "denoise"):
        from gipi.jobs.reconstruct import Reconstruct

        return Reconstruct(material, setting)
    from gipi.jobs.supervised import Supervised

    return Supervised(material, setting)


def _weights(request: Request) -> "Weights | None":
    """What `--weights` names, opened."""
    from gipi.release.weight_files import PRETRAINED, read_weights

    source, model = request.options.weights, request.options.model
    if source != PRETRAINED:
        return None if source is None else read_weights(source, request.progress)
    if model is None:
        raise UsageError(_("--weights pretrained is for a network that --model names, timm:NAME or hf:NAME"))
    from gipi.jobs.hub import pretrained

    return pretrained(model)


def _setting(
    request: Request, task: str, kind: str, own: Any, device: Any, weights: "Weights | None" = None
) -> "Setting":
    """The system for this task and kind of data, and its configuration."""
    from gipi import systems, tasks
    from gipi.jobs.job import Setting
    from gipi.training.distributed import ALONE
    from gipi.training.prepare import Arithmetic

    known = tasks.load(task).default
    if task in tasks.TASKS and kind not in known:
        words = {"task": task, "kind": kind, "known": ", ".join(known)}
        raise UsageError(_("the task {task} does not take a {kind}; it takes a {known}", **words))
    if own.model is not None:
        if request.system is not None or request.options.system is not None:
            raise UsageError(_("model and system exclude each other: a module of one's own is a system of its own"))
        from gipi.jobs.own import own_system

        name, system = "own", own_system(own.model)
    elif request.options.model is not None:
        if request.system is not None or request.options.system is not None:
            raise UsageError(_("--model and --system exclude each other: such a network is a system of its own"))
        from gipi.jobs.hub import hub_system

        name, system = request.options.model, hub_system(request.options.model)
    elif request.system is not None:
        system = systems.load(request.system)
        name = getattr(system, "__name__", "own").rpartition(".")[2]
        name = f"own-{name}" if name in systems.names() else name
    else:
        name = request.options.system or _system_of(weights, task, kind) or tasks.load(task).default.get(kind, "")
        system = systems.load(name)
    if task not in system.tasks:
        fitting = [n for n in systems.names() if task in systems.describe(n).tasks]
        text = _(
            "the system {name} does not {task}; these do: {others}", name=name, task=task, others=", ".join(fitting)
        )
        raise UsageError(text)
    if kind not in system.kinds:
        fitting = [
            n for n in systems.names() if task in systems.describe(n).tasks and kind in systems.describe(n).kinds
        ]
        text = _(
            "the system {name} does not take a {kind}; these do: {others}",
            name=name,
            kind=kind,
            others=", ".join(fitting),
        )
        raise UsageError(text)
    check_system(request.options, system, name, sorted(request.own))
    if own.loss is not None and task not in OWN_LOSS:
        raise UsageError(_("the task {task} has a loss of its own, so another has no use; leave loss out", task=task))
    if request.read:
        request.system_options = request.read(system, name)
    known = {f.name for f in fields(system.Config)}
    begun = weights.options if weights and weights.system == name else {}  # the network that they fit
    given = {option: v for option, v in begun.items() if option in known} | request.system_options
    if own.optimizer is not None:
        given["optimizer"] = own.optimizer
    precision = request.options.precision
    arithmetic = Arithmetic("float32" if precision == "auto" else precision, compiled=request.options.compile == "on")
    config = configured(system, name, given)
    return Setting(request.options, name, system, config, own, device, arithmetic, request.ranks or ALONE, weights)


def _system_of(weights: "Weights | None", task: str, kind: str) -> str:
    """The system that the weights belong to, or else whose network they are, if it does this task with this data."""
    from gipi import systems

    for name in (weights.system, weights.network) if weights else ():
        if name in systems.names():
            found = systems.describe(name)
            if task in found.tasks and kind in found.kinds:
                return name
    return ""


def configured(system: Any, name: str, given: dict[str, Any]) -> Any:
    """The system's configuration with these options in it.

    Raises:
        UsageError: An option belongs to no system, or to others.
    """
    from gipi import systems

    known = {f.name: f for f in fields(system.Config)}
    for option in given:
        if option not in known:
            owners = systems.owners(option)
            if owners:
                text = _(
                    "{option} does not apply to {name}; it belongs to {owners}",
                    option=flag(option),
                    name=name,
                    owners=", ".join(owners),
                )
                raise UsageError(text)
            everything = [*known, *(f.name for f in fields(Fit))]
            raise UsageError(_("there is no option {option}.", option=flag(option)) + nearest(option, everything))
    if "optimizer" in given and "lr" in known and "lr" not in given:  # each optimizer has a step size of its own
        from gipi.algorithms.optimizers import STEP_SIZES

        optimizer = given["optimizer"]
        if optimizer != known["optimizer"].default:
            given = {**given, "lr": STEP_SIZES.get(optimizer) if isinstance(optimizer, str) else None}
    own = [option for option in ("optimizer",) if callable(given.get(option))]
    return checked(system.Config(**given), except_for=own)

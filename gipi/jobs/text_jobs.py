"""Which job a text asks for: a language model of running text, a translation of pairs, tags, words, rows."""

from typing import TYPE_CHECKING, Any

from gipi import systems
from gipi.data.texts import form_of
from gipi.jobs.options import Fit
from gipi.jobs.target import OF_TEXTS

if TYPE_CHECKING:
    from gipi.jobs.job import Job, Setting
    from gipi.jobs.pieces import Progress

ALSO = {"generate": "write", "embed": "relate"}  # what a person may call a task on texts, as its kin on pictures
OF_FORM = {"running": ("write", "fill", "relate"), "pairs": ("translate",), "tags": ("tag",), "answers": ("chat",)}


def text_task(source: Any, options: Fit) -> str | None:
    """The task on texts without answers of their own; None where rows have answers, or nothing is a text.

    What was asked for; else what the system is for; else what suits the form of the source.
    """
    if options.task in OF_TEXTS:
        return options.task
    form = form_of(source)
    if options.task in ALSO and (form == "running" or options.text):
        return ALSO[options.task]
    if options.task is not None or (options.target and form != "pairs"):
        return None
    can = [*systems.describe(options.system).tasks] if options.system in systems.names() else []
    only_texts = bool(can) and all(task in OF_TEXTS for task in can)
    if only_texts and form not in OF_FORM:
        return can[0]
    fitting = [task for task in OF_FORM.get(form, ()) if task in can or not can]
    return fitting[0] if fitting else can[0] if only_texts else None


def text_job(source: Any, task: str, setting: "Setting", progress: "Progress | None") -> "Job":
    """The job of a task on texts."""
    if task in ("write", "chat"):
        from gipi.jobs.write import Write

        return Write(source, setting, progress)
    if task == "translate":
        from gipi.jobs.translate import Translate

        return Translate(source, setting, progress)
    if task == "fill":
        from gipi.jobs.fill import Fill

        return Fill(source, setting, progress)
    if task == "tag":
        from gipi.jobs.tag import Tag

        return Tag(source, setting, progress)
    from gipi.jobs.relate import Relate

    return Relate(source, setting, progress)

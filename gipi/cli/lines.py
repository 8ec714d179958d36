"""A command line, read: what stands without a flag comes first, then the verb's options, then (for fit) the system's.

The system is only known once the data has been looked at, so what is left over is read later, against its Config.
"""

import io
import re
from collections.abc import Callable
from contextlib import redirect_stderr
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from gipi.errors import UsageError, nearest
from gipi.messages import _


@dataclass(frozen=True)
class Common:
    """What every verb understands."""

    json: bool = False  # the last line of standard output is the result as JSON
    lang: str | None = None  # en or ko; from the locale if not given
    quiet: bool = False  # say nothing


@dataclass(frozen=True)
class Resume:
    """What `gipi resume` understands."""

    device: str | None = None  # auto, cpu, cuda, cuda:1, mps; where it began if not given
    json: bool = False  # the last line of standard output is the result as JSON
    lang: str | None = None  # en or ko; from the locale if not given
    quiet: bool = False  # say nothing


@dataclass(frozen=True)
class Shown:
    """What `gipi data` understands."""

    show: bool = False  # draw some pictures as they are read, and as a model sees them in four epochs
    augment: tuple[str, ...] | None = None  # flip crop affine colour ... (docs/augmentation.md); fit's own if not given
    picture_size: int | None = None  # height and width that pictures are brought to
    target: tuple[str, ...] = ()  # column or columns to be predicted
    drop: tuple[str, ...] = ()  # columns that nothing is learned from
    seed: int = 0  # of the run that would see them so
    clear_cache: bool = False  # remove pictures, tokens and columns of large tables that were kept; fetched sets stay
    json: bool = False  # the last line of standard output is the result as JSON
    lang: str | None = None  # en or ko; from the locale if not given
    quiet: bool = False  # say nothing


@dataclass(frozen=True)
class Predict:
    """What `gipi predict` understands."""

    explain: bool = False  # also why: where in a picture it looked, which words decided, or what each column did
    runtime: Literal["torch", "onnx"] | None = None  # run its networks, or its program, which needs no PyTorch
    out: str | None = None  # write rows and answers to this .parquet, .csv or .jsonl file, however many; docs/batch.md
    json: bool = False  # the last line of standard output is the result as JSON
    lang: str | None = None  # en or ko; from the locale if not given
    quiet: bool = False  # say nothing


@dataclass(frozen=True)
class Generate:
    """What `gipi generate` understands."""

    prompt: str = ""  # the text to go on from, or the question; begins as texts of training do if not given
    tokens: int = 200  # that are written, at most
    temperature: float = 1.0  # 0: always the likeliest token; below 1: rather likely ones; 1: as it has learned
    top_k: int = 0  # only the so many likeliest tokens are in question; 0: all
    top_p: float = 1.0  # only the likeliest tokens that together are so likely are in question; 1: all
    seed: int = 0  # the same one gives the same text
    json: bool = False  # the last line of standard output is the result as JSON
    lang: str | None = None  # en or ko; from the locale if not given
    quiet: bool = False  # say nothing but the text


@dataclass(frozen=True)
class Chat:
    """What `gipi chat` understands."""

    tokens: int = 200  # that are written, at most
    temperature: float = 1.0  # 0: always the likeliest token; below 1: rather likely ones; 1: as it has learned
    top_k: int = 0  # only the so many likeliest tokens are in question; 0: all
    top_p: float = 1.0  # only the likeliest tokens that together are so likely are in question; 1: all
    seed: int = 0  # the same one gives the same text
    json: bool = False  # the last line of standard output is the result as JSON
    lang: str | None = None  # en or ko; from the locale if not given
    quiet: bool = False  # say nothing but the text


@dataclass(frozen=True)
class Show:
    """What `gipi show` understands."""

    layer: str | None = None  # draw the filters of this layer; with a picture, what the layer makes of it
    map: bool = False  # draw the test part, or other data, on a plane by what the network sees in it
    json: bool = False  # the last line of standard output is the result as JSON
    lang: str | None = None  # en or ko; from the locale if not given
    quiet: bool = False  # say nothing


@dataclass(frozen=True)
class Doctor:
    """What `gipi doctor` understands."""

    try_: bool = False  # run each remedy briefly from the same start on the same data, and show what it gains
    fix: bool = False  # then run it all anew with the best of them, in a folder of its own
    steps: int | None = None  # of each trial; a quarter of the run's, at least 200, if not given
    json: bool = False  # the last line of standard output is the result as JSON
    lang: str | None = None  # en or ko; from the locale if not given
    quiet: bool = False  # say nothing


@dataclass(frozen=True)
class Export:
    """What `gipi export` understands."""

    to: str = "onnx"  # onnx, torch (.pt2), safetensors (weights alone), sagemaker, docker, word2vec-text or -binary
    precision: str = "float32"  # of ONNX: int8 or bf16 is written only if it is faster and hardly worse
    loss_of_quality: float = 0.01  # how much worse the first metric may be then; of an error a share of its value
    data: str | None = None  # what that is measured on; the run's own test part if not given
    json: bool = False  # the last line of standard output is the result as JSON
    lang: str | None = None  # en or ko; from the locale if not given
    quiet: bool = False  # say nothing


@dataclass(frozen=True)
class Serve:
    """What `gipi serve` understands."""

    host: str = "127.0.0.1"  # where to listen; 0.0.0.0: every network that this machine is in
    port: int | None = None  # 8000 if not given, with --sagemaker 8080; 0: any that is free
    workers: int = 1  # processes that answer, each with the models for itself
    runtime: Literal["torch", "onnx"] | None = None  # run its networks, or its program, which needs no PyTorch
    allow_host: tuple[str, ...] = ()  # names under which it is reached, besides localhost; *: any
    keys: str | None = None  # a file of keys, one a line, one of which every request must bring
    tls_certificate: str | None = None  # a PEM file, for https
    tls_key: str | None = None  # its private key
    threads: int = 0  # that one answer may use; 0: the cores that there are for each worker
    batch: int | None = None  # rows that are answered at once; measured if not given
    max_wait: float = 0.0  # milliseconds that a row waits for others; it always waits while a batch is computed
    queue: int = 2048  # rows that may wait; who comes later is told to come back (503)
    rate: float | None = None  # requests a second that one client may make (429); any if not given
    max_body: int = 16  # megabytes of a request
    sagemaker: bool = False  # as Amazon SageMaker asks it to; without RUN the model in /opt/ml/model
    json: bool = False  # the last line of standard output is the result as JSON
    lang: str | None = None  # en or ko; from the locale if not given
    quiet: bool = False  # say nothing


# what a verb understands; `fit` has a page of its own, and all others Common
OPTIONS = {
    "resume": Resume,
    "data": Shown,
    "predict": Predict,
    "show": Show,
    "doctor": Doctor,
    "export": Export,
    "serve": Serve,
    "generate": Generate,
    "chat": Chat,
}


@dataclass
class Line:
    """What was typed."""

    verb: str
    words: list[str]  # data, run, inputs
    options: Any  # Fit, one of OPTIONS, or Common
    rest: list[str] = field(default_factory=list)  # for the system
    begun: dict[str, Any] = field(default_factory=dict)  # the system's options by the recipe


COUNTS = {
    "fit": (1, 1),
    "evaluate": (1, 2),
    "predict": (2, None),
    "resume": (0, 1),
    "runs": (0, 0),
    "show": (0, 2),
    "compare": (2, 2),
    "doctor": (0, 1),
    "save": (2, 2),
    "generate": (1, 1),
    "chat": (1, 1),
    "inspect": (1, 1),
    "export": (1, 2),
    "serve": (0, None),
    "systems": (0, 1),
    "data": (0, 1),
}


def read_line(verb: str, arguments: list[str]) -> Line:
    """Read a line.

    Raises:
        UsageError: Words are missing or too many, or an option is unknown.
    """
    from gipi.cli.main import VERBS

    first = next((place for place, word in enumerate(arguments) if word.startswith("--")), len(arguments))
    words, flags = arguments[:first], arguments[first:]
    fewest, most = COUNTS[verb]
    if len(words) < fewest or (most is not None and len(words) > most):
        usage = f"gipi {verb} {VERBS[verb]}".strip()
        raise UsageError(
            _("expected: {usage}; what has no -- comes first. See gipi {verb} --help", usage=usage, verb=verb)
        )
    flags = [f"--weights{flag[6:]}" if flag == "--from" or flag.startswith("--from=") else flag for flag in flags]
    flags = ["--try_" if flag == "--try" else flag for flag in flags]  # Python keeps the word for itself
    if verb == "fit":
        from gipi.jobs.options import Fit

        options, rest = parsed(Fit, flags)
        begun: dict[str, Any] = {}
        if options.recipe is not None:
            from gipi.systems import recipe

            system, begun = recipe(options.recipe, options.system)
            known = [one.name for one in fields(Fit) if one.name in begun]
            usual = Fit(system=system, **{name: begun.pop(name) for name in known})
            options, rest = parsed(Fit, flags, usual)
        return Line(verb, words, options, rest, begun)
    options, rest = parsed(OPTIONS.get(verb, Common), flags)
    if rest:
        text = _("gipi {verb} has no option {option}. See gipi {verb} --help", verb=verb, option=rest[0])
        known = ["--" + one.name.rstrip("_").replace("_", "-") for one in fields(OPTIONS.get(verb, Common))]
        raise UsageError(text + nearest(rest[0], known))
    return Line(verb, words, options, rest)


def parsed(kind: type, flags: list[str], usual: Any = None) -> tuple[Any, list[str]]:
    """An options dataclass from flags, and the flags that it does not know; `usual` has what is not typed.

    Raises:
        UsageError: A value is missing or of the wrong kind.
    """
    import tyro

    from gipi.jobs.checks import check_words

    check_words(kind, flags)
    said = io.StringIO()
    try:
        with redirect_stderr(said):
            more = {} if usual is None else {"default": usual}
            options, rest = tyro.cli(kind, args=flags, return_unknown_args=True, prog="gipi", **more)
    except SystemExit as error:  # what tyro says fills a box: its words, on one line
        words = re.sub(r"[^\w\s.,:;'(){}\[\]<>=/|-]|--{2,}", " ", said.getvalue())
        raise UsageError(" ".join(words.split())) from error
    return options, [*rest]


def system_reader(flags: list[str], begun: dict[str, Any]) -> Callable[[Any, str], dict[str, Any]]:
    """Reads flags against a system's Config, once the system is known; gives the options that were typed.

    Others are as they were begun, by a recipe.
    """

    def read(system: Any, name: str) -> dict[str, Any]:
        from gipi.jobs.request import configured

        typed = [word.partition("=")[0].removeprefix("--").replace("-", "_") for word in flags if word.startswith("--")]
        known = {one.name for one in fields(system.Config)}
        typed = [option.removeprefix("no_") if option.removeprefix("no_") in known else option for option in typed]
        for option in typed:
            if option not in known:
                configured(system, name, {option: None})  # says to which systems it belongs
        config, rest = parsed(system.Config, flags)
        if rest:
            raise UsageError(_("what is this: {words}? What has no -- comes first", words=" ".join(rest)))
        return begun | {option: getattr(config, option) for option in typed}

    return read

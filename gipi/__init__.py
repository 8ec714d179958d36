"""gipi (깊이, "depth"): from data to a kept deep-learning model with an honest verdict, in one call.

>>> import gipi
>>> run = gipi.fit("students.csv", target="G3")    # doctest: +SKIP
>>> run.metrics, run.verdict, run.predict(rows)    # doctest: +SKIP

Importing gipi does not import torch; the verbs do when they are called.
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from gipi.run import Run as Run
    from gipi.verbs.chat import chat as chat
    from gipi.verbs.compare import compare as compare
    from gipi.verbs.evaluate import evaluate as evaluate
    from gipi.verbs.explain import explain as explain
    from gipi.verbs.export import export as export
    from gipi.verbs.fit import fit as fit
    from gipi.verbs.generate import generate as generate
    from gipi.verbs.inspect import inspect as inspect
    from gipi.verbs.load import load as load
    from gipi.verbs.predict import predict as predict
    from gipi.verbs.resume import resume as resume
    from gipi.verbs.runs import runs as runs
    from gipi.verbs.serve import serve as serve

_PLACES = {
    "Run": "gipi.run",
    "chat": "gipi.verbs.chat",
    "compare": "gipi.verbs.compare",
    "evaluate": "gipi.verbs.evaluate",
    "explain": "gipi.verbs.explain",
    "export": "gipi.verbs.export",
    "fit": "gipi.verbs.fit",
    "generate": "gipi.verbs.generate",
    "inspect": "gipi.verbs.inspect",
    "load": "gipi.verbs.load",
    "predict": "gipi.verbs.predict",
    "resume": "gipi.verbs.resume",
    "runs": "gipi.verbs.runs",
    "serve": "gipi.verbs.serve",
}

__all__ = [
    "Run",
    "chat",
    "compare",
    "evaluate",
    "explain",
    "export",
    "fit",
    "generate",
    "inspect",
    "load",
    "predict",
    "resume",
    "runs",
    "serve",
]


def __getattr__(name: str) -> Any:
    """The verbs, imported when they are first asked for (PEP 562): `import gipi` takes milliseconds."""
    import importlib

    if name in _PLACES:
        return getattr(importlib.import_module(_PLACES[name]), name)
    try:
        return importlib.import_module(f"gipi.{name}")
    except ModuleNotFoundError as error:
        if error.name != f"gipi.{name}":
            raise
        raise AttributeError(f"module 'gipi' has no attribute {name!r}") from None


def __dir__() -> list[str]:
    return [*__all__, "__version__"]

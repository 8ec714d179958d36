"""Exact requirements: what is installed here and needed there, each with its version, and what each of them needs.

A list like that is installed with `pip install --no-deps`, so that nothing comes that is not on it. It is made for the
container, which is Linux with this machine's version of Python, whatever this machine is.
"""

import platform
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, distribution
from typing import Any

from gipi.errors import UsageError
from gipi.messages import _

SERVING = (  # gipi[web], as far as answering with a program needs it
    *("numpy", "pillow", "polars", "rich", "tyro"),
    *("fastapi", "fastapi-swagger", "httptools", "onnxruntime", "uvicorn", "uvloop"),
)
NETWORKS = ("safetensors", "torch")  # what building the networks needs beyond that
TRAINING = ("onnx", "onnxscript", "scikit-learn")  # and what training and making a program need
OF_GPUS = ("cuda-", "nvidia-", "triton")  # what a build of torch for GPUs brings, of which the CPU's needs nothing
LINUX = {"os_name": "posix", "sys_platform": "linux", "platform_system": "Linux", "extra": ""}


def pinned(names: Iterable[str]) -> list[str]:
    """`name==version` of these packages and of all that they need, in alphabetical order.

    Args:
        names: Packages that are installed here.

    Raises:
        UsageError: One is not installed; says how to install it.

    Example:
        >>> pinned(["polars"])  # doctest: +SKIP
        ['polars==2.1.0', 'polars-runtime-32==2.1.0']
    """
    try:
        from packaging.utils import canonicalize_name
    except Exception as error:  # it comes with onnxruntime
        raise not_here("packaging") from error
    found: dict[str, str] = {}
    waiting = [*names]
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in found or name.startswith(OF_GPUS):
            continue
        try:
            one = distribution(name)
        except PackageNotFoundError as error:
            raise not_here(name) from error
        found[name] = of_cpu(one.version) if name == "torch" else one.version
        waiting += needed(one.requires or (), LINUX)
    return [f"{name}=={version}" for name, version in sorted(found.items())]


def not_here(name: str) -> UsageError:
    """What to do about a package whose version nobody can name."""
    return UsageError(
        _("{name} is not installed here, so its version is not known: pip install 'gipi[web,export]'", name=name)
    )


def needed(requirements: Iterable[str], environment: Mapping[str, Any]) -> list[str]:
    """The names of those requirements that hold in this environment."""
    from packaging.requirements import Requirement

    read = [Requirement(one) for one in requirements]
    return [one.name for one in read if one.marker is None or one.marker.evaluate(dict(environment))]


def of_cpu(version: str) -> str:
    """The build of torch for processors, a fifth of the size of those for GPUs: `2.13.0+cpu`."""
    return f"{version.partition('+')[0]}+cpu"


def image() -> str:
    """The official image of this machine's Python, small: `python:3.11.7-slim`; pinned by its tag.

    By its digest it would be pinned for good, but a digest has to be looked up where images are kept.
    """
    return f"python:{platform.python_version()}-slim"

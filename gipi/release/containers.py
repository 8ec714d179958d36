"""A kept model for containers: `model.tar.gz` as SageMaker takes it, and a folder that Docker makes an image of.

The image has what answering needs and nothing else: where the bundle has a program that is no PyTorch. Everything is
pinned: the image of Python by its tag, each package by its version, gipi as a wheel of the files that run here, so
nobody needs to find it on an index.
"""

import gzip
import io
import re
import tarfile
from pathlib import Path

from gipi.errors import cannot_write
from gipi.messages import _
from gipi.release.bundle import Held, held
from gipi.release.export import Exported
from gipi.release.pinned import NETWORKS, SERVING, TRAINING, image, pinned
from gipi.release.wheel import wheel, wheel_name
from gipi.training.checkpoint import write_atomically

MODEL = "model.gipi"
PORT = 8000

DOCKERFILE = """\
# Answers over HTTP on port {port}, as a user without rights.
# docker build -t {name} . && docker run --rm -p 127.0.0.1:{port}:{port} {name}
FROM {image}
ENV PYTHONUNBUFFERED=1
WORKDIR /srv/gipi
# an index that has the packages, where pip's own has not: --build-arg PIP_EXTRA_INDEX_URL=...
ARG PIP_EXTRA_INDEX_URL
COPY requirements.txt {wheel} ./
RUN pip install --no-cache-dir --no-deps -r requirements.txt && useradd --uid 10001 --no-create-home gipi
COPY --chown=10001 {model} ./
USER 10001
EXPOSE {port}
HEALTHCHECK --interval=30s --timeout=3s --start-period=60s CMD ["python", "-c", "{look}"]
ENTRYPOINT ["gipi", "serve", "{model}", "--host", "0.0.0.0", "--port", "{port}"]
"""
LOOK = "import urllib.request as web; web.urlopen('http://127.0.0.1:{port}/healthz', timeout=2)"
DOCKERFILE_SAGEMAKER = """\
# For Amazon SageMaker, which runs it as root with `serve` or `train`.
# docker build -f Dockerfile.sagemaker -t {name} .
FROM {image}
LABEL com.amazonaws.sagemaker.capabilities.accept-bind-to-port=true
ENV PYTHONUNBUFFERED=1
WORKDIR /opt/program
# an index that has the packages, where pip's own has not: --build-arg PIP_EXTRA_INDEX_URL=...
ARG PIP_EXTRA_INDEX_URL
# to train as well: --build-arg REQUIREMENTS=requirements-train.txt
ARG REQUIREMENTS=requirements.txt
COPY requirements.txt requirements-train.txt {wheel} ./
RUN pip install --no-cache-dir --no-deps -r "$REQUIREMENTS"
# SageMaker puts what its model.tar.gz holds over this
COPY {model} /opt/ml/model/
EXPOSE 8080
ENTRYPOINT ["python", "-m", "gipi.sagemaker"]
"""
OF_TORCH = (
    "# torch is its build for processors, which lies on an index of PyTorch's own; for a GPU name that build here"
)


def write_archive(bundle: Path, path: Path) -> Exported:
    """Write `model.tar.gz`, with the bundle at its root; the same bundle gives the same bytes.

    Args:
        bundle: A `.gipi` file.
        path: The archive.

    Raises:
        RunError: The bundle is damaged, or the archive cannot be written.
    """
    opened, content = held(bundle), bundle.read_bytes()
    entry = tarfile.TarInfo(MODEL)
    entry.size, entry.mode = len(content), 0o644
    packed = io.BytesIO()
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=packed, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        archive.addfile(entry, io.BytesIO(content))
    _write(path.parent, {path.name: packed.getbuffer()})
    return Exported([path], OF_ARCHIVE.format(path=path), _without_program(opened))


OF_ARCHIVE = """\
# IMAGE is made by: gipi export RUN --to docker FOLDER; docker build -f FOLDER/Dockerfile.sagemaker FOLDER
# aws s3 cp {path} s3://BUCKET/model.tar.gz
import boto3

boto3.client("sagemaker").create_model(
    ModelName="NAME",
    ExecutionRoleArn="ROLE",
    PrimaryContainer={{"Image": "IMAGE", "ModelDataUrl": "s3://BUCKET/model.tar.gz"}},
)"""


def write_folder(bundle: Path, folder: Path) -> Exported:
    """Write a folder that Docker makes an image of: two Dockerfiles, requirements, gipi, the model.

    Args:
        bundle: A `.gipi` file.
        folder: Made if it is not there; what else lies in it stays, and does not come into the image.

    Raises:
        UsageError: What the image needs is not installed here, so its version is not known.
        RunError: The bundle is damaged, or the folder cannot be written.
    """
    opened = held(bundle)
    has_program = "program.onnx" in opened.parts
    name = re.sub(r"[^a-z0-9]+", "-", folder.resolve().name.lower()).strip("-") or "gipi"
    words = {"image": image(), "wheel": wheel_name(), "model": MODEL, "port": PORT, "name": name}
    words["look"] = LOOK.format(port=PORT)
    kept = ["requirements.txt", "requirements-train.txt", wheel_name(), MODEL]
    serving = SERVING if has_program else (*SERVING, *NETWORKS)
    files = {
        "Dockerfile": DOCKERFILE.format(**words),
        "Dockerfile.sagemaker": DOCKERFILE_SAGEMAKER.format(**words),
        "requirements.txt": requirements(serving),
        "requirements-train.txt": requirements((*SERVING, *NETWORKS, *TRAINING)),
        ".dockerignore": "\n".join(["*", *(f"!{one}" for one in kept), ""]),
    }
    contents: dict[str, bytes | memoryview] = {name: text.encode() for name, text in files.items()}
    contents |= {wheel_name(): wheel(), MODEL: bundle.read_bytes()}
    _write(folder, contents)
    usage = f"docker build -t {name} {folder}\ndocker run --rm -p 127.0.0.1:{PORT}:{PORT} {name}"
    remark = _(
        "gipi {version} lies in the folder as a wheel, made of the files that run here; {image} is pinned by its tag:"
        " for good it would be by its digest, which a registry names",
        version=wheel_name().split("-")[1],
        image=image(),
    )
    return Exported(
        [folder / one for one in contents], usage, " ".join(filter(None, [_without_program(opened), remark]))
    )


def requirements(names: tuple[str, ...]) -> str:
    """The text of a requirements file: gipi's wheel beside it, and these packages with all that they need."""
    lines = pinned(names)
    head = ["# made by gipi; install it with: pip install --no-deps -r", f"./{wheel_name()}"]
    return "\n".join([*head, *([OF_TORCH] if "torch" in names else []), *lines, ""])


def _without_program(opened: Held) -> str:
    if "program.onnx" in opened.parts:
        return ""
    reason = opened.described.program.get("none", "")
    return _("the model has no program, so it needs PyTorch there, which is large: {reason}", reason=reason)


def _write(folder: Path, contents: dict[str, bytes | memoryview]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from error
    for name, content in contents.items():
        write_atomically(folder / name, content)

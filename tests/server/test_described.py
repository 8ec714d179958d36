"""The API is as GET /openapi.json describes it: schemathesis asks what may be asked and what may not, all checks on."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from asked import GOLDEN, serving

HERE = Path(__file__).parent
TABLE, PICTURES, MADE = (
    "mlp-classify-table-class",
    "convnet-classify-picture-class",
    "gan-generate-picture",
)
OTHERS = (
    "tabm-regress-table-quantiles",
    "mlp-regress-table-normal",
    "mlp-classify-table-labels",
    "unet-segment-picture",
    "edsr-upscale-picture",
    "simclr-embed-picture",
    "autoencoder-cluster-table",
    "autoencoder-denoise-picture",
    "dqn-act-environment",
)
SKIPPED = "schemathesis is not installed here"


def bundles(*names: str) -> list[str]:
    return [
        str(GOLDEN / f"{names[0]}.gipi"),
        *(f"m{place}={GOLDEN / name}.gipi" for place, name in enumerate(names[1:])),
    ]


def checked(folder: Path, address: str, cases: int, *words: str) -> int:
    """Ask a server with every check; gives how many cases there were. It keeps what it found in the folder."""
    pytest.importorskip("schemathesis", reason=SKIPPED)
    start = [sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()"]
    options = [
        "--checks",
        "all",
        "--continue-on-failure",
        "-n",
        str(cases),
        "--no-color",
        "--generation-database",
        "none",
    ]
    environment = {**os.environ, "PYTHONPATH": str(HERE), "SCHEMATHESIS_HOOKS": "schemathesis_hooks"}
    done = subprocess.run(
        [*start, "run", f"{address}/openapi.json", *options, *words],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout.partition("FAILURES")[2][:4000] + done.stderr[-2000:]
    found = re.search(r"([0-9,]+) generated", done.stdout)
    assert found is not None, done.stdout[-2000:]
    return int(found[1].replace(",", ""))


def test_every_route_is_as_described(tmp_path):
    with serving(*bundles(TABLE), "--queue", "1000000") as server:
        assert checked(tmp_path, server.address, 5) >= 50


@pytest.mark.slow
def test_every_route_of_many_models_is_as_described(tmp_path):
    cases = 0
    for names in ((TABLE, PICTURES, MADE), OTHERS):
        with serving(*bundles(*names), "--queue", "1000000") as server:
            cases += checked(tmp_path, server.address, 150)
    assert cases >= 5000


@pytest.mark.slow
def test_every_route_with_keys_is_as_described(tmp_path):
    key = "a-key-of-twenty-letters"
    (tmp_path / "keys").write_text(key)
    with serving(*bundles(TABLE, MADE), "--queue", "1000000", "--keys", str(tmp_path / "keys")) as server:
        assert checked(tmp_path, server.address, 30, "-H", f"X-API-Key: {key}") >= 300

"""Where SageMaker puts things, and where it looks for them: the paths under /opt/ml."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gipi.errors import DataError, reason_of
from gipi.messages import _

ROOT = Path("/opt/ml")


@dataclass(frozen=True)
class Places:
    """The paths under one root.

    Attributes:
        root: /opt/ml; elsewhere for a trial outside a container.
    """

    root: Path = ROOT

    @property
    def config(self) -> Path:
        return self.root / "input" / "config"

    @property
    def data(self) -> Path:
        return self.root / "input" / "data"

    @property
    def model(self) -> Path:
        return self.root / "model"

    @property
    def run(self) -> Path:
        """The run's folder: all of it is copied to S3 and brought back, so it goes on as if it had not been cut."""
        return self.root / "checkpoints" / "run"

    @property
    def output(self) -> Path:
        return self.root / "output" / "data"

    @property
    def failure(self) -> Path:
        return self.root / "output" / "failure"

    def said(self, name: str) -> dict[str, Any] | None:
        """What a file of SageMaker's configuration says; None where there is none.

        Raises:
            DataError: It is no JSON object.
        """
        path = self.config / name
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise DataError(_("cannot read {path}: {reason}", path=path, reason=reason_of(error))) from error
        except ValueError as error:
            raise DataError(_("{path} is not JSON: {reason}", path=path, reason=error)) from error
        if not isinstance(found, dict):
            raise DataError(_("{path} is not a JSON object", path=path))
        return found

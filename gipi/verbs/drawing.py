"""A picture that a verb has drawn: to be saved, or to show itself in Jupyter."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gipi.errors import cannot_write


@dataclass(frozen=True)
class Drawing:
    """A Pillow image, and what a person should know of it."""

    image: Any
    notes: list[str] = field(default_factory=list)

    def save(self, path: str | Path) -> Path:
        """Write it as a PNG file, whole or not at all.

        Raises:
            RunError: The folder cannot be written to, or is full.
        """
        from gipi.report.sheet import png_of
        from gipi.training.checkpoint import write_atomically

        path = Path(path)
        path = path if path.suffix else path.with_suffix(".png")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise cannot_write(path, error) from error
        write_atomically(path, png_of(self.image))
        return path

    def _repr_png_(self) -> bytes:
        from gipi.report.sheet import png_of

        return png_of(self.image)

"""Pictures inside a page, as data addresses: nothing is fetched."""

import base64
import io
from typing import Any

from gipi.report.canvas import safe


def figure(picture: Any, caption: str, title: str = "", beside: Any = None) -> str:
    said = f"<figcaption>{caption}</figcaption>" if caption else ""
    image = f'<img src="{png(picture)}" alt="{safe(title)}" title="{safe(title)}">'
    if beside is not None:
        image = f'<div class="pair">{image}<img src="{png(beside)}" alt="Grad-CAM" title="Grad-CAM"></div>'
    return f"<figure>{image}{said}</figure>"


def png(picture: Any, largest: int = 192) -> str:
    """A picture, `(H, W)` or `(H, W, C)`, as a data address; large ones are made smaller."""
    import numpy as np
    from PIL import Image

    array = np.asarray(picture)
    if array.dtype != np.uint8:
        held = np.nan_to_num(array.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
        held = held * 255 if held.size and held.max() <= 1.0 else held
        array = held.clip(0, 255).round().astype(np.uint8)
    if array.ndim == 3 and array.shape[2] in (1, 2):
        array = array[:, :, 0]
    image = Image.fromarray(np.ascontiguousarray(array[:, :, :4] if array.ndim == 3 else array))
    if max(image.size) > largest:
        image.thumbnail((largest, largest))
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()

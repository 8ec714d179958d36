"""What schemathesis sends where the API's description only says "binary" or "text": pictures, and tables."""

import io

import numpy as np
import schemathesis
from hypothesis import strategies as st
from PIL import Image


def picture(kind: str, height: int, width: int, shade: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((height, width, 3), shade, np.uint8)).save(file, kind)
    return file.getvalue()


for kind in ("PNG", "JPEG", "WEBP", "GIF", "BMP"):
    sides = st.integers(1, 40)
    schemathesis.openapi.media_type(
        f"image/{kind.lower()}", st.builds(picture, st.just(kind), sides, sides, st.integers(0, 255))
    )

# The columns of all tables that are served in tests: what a model does not ask for, it passes over.
HEAD = "length,weight,colour,is new,day,kind,observation_0,observation_1,observation_2,observation_3\n"
line = st.builds(
    "{},{},{},{},{},{},{},{},{},{}\n".format,
    st.floats(-1e6, 1e6),
    st.integers(-2000, 0),
    st.sampled_from(["blue", "red", ""]),
    st.sampled_from(["yes", "no", "true", ""]),
    st.dates().map(str),
    st.sampled_from("abcd"),
    *[st.floats(-10, 10)] * 4,
)
schemathesis.openapi.media_type(
    "text/csv", st.lists(line, max_size=20).map(lambda lines: (HEAD + "".join(lines)).encode())
)

"""Words in pictures of pixels: a font that has their letters, and lines that fit.

Pillow brings a font of Latin letters along. For others (Korean, say) the machine's own are looked for by name; where
there is none, what has no letters is replaced by what was given instead of it, never by rows of empty boxes.
"""

import unicodedata
from functools import cache
from typing import Any

from PIL import ImageFont

from gipi.report.text import clean

# fonts of many letters that come with the systems: Windows, macOS, Linux
KNOWN = (
    *("malgun.ttf", "AppleSDGothicNeo.ttc", "NotoSansCJK-Regular.ttc", "NotoSansKR-Regular.otf"),
    *("NotoSansKR-Regular.ttf", "NanumGothic.ttf", "UnDotum.ttf", "Arial Unicode.ttf", "DejaVuSans.ttf"),
)


@cache
def fonts(size: int) -> tuple[Any, ...]:
    """Pillow's own font, then those of the machine that are known."""
    found = [ImageFont.load_default(size)]
    for name in KNOWN:
        try:
            found.append(ImageFont.truetype(name, size))
        except (OSError, ImportError):  # it is not here, or Pillow was built without FreeType
            continue
    return tuple(found)


def has_letters(font: Any, text: str) -> bool:
    """Whether a font can draw each letter."""
    empty = _box(font)
    return all(letter.isspace() or bytes(font.getmask(letter)) != empty for letter in text)


@cache
def _box(font: Any) -> bytes:
    """What it draws for a letter that it lacks."""
    try:
        return bytes(font.getmask("\uffff"))
    except UnicodeEncodeError:  # a font of pixels knows Latin letters only
        return b""


def font_for(text: str, size: int) -> Any:
    """A font that has the letters of a text; None where there is none."""
    own = ImageFont.load_default(size)
    try:
        if has_letters(own, text):
            return own
        return next((font for font in fonts(size)[1:] if has_letters(font, text)), None)
    except UnicodeEncodeError:
        return None


def fitted(text: Any, size: int, room: float, instead: str = "?") -> tuple[str, Any]:
    """A line that is no longer than `room` pixels, cut with an ellipsis, and the font to draw it with.

    Args:
        text: A text of anybody's.
        size: Of the letters, in pixels.
        room: Pixels.
        instead: What is drawn where no font has the letters; Latin.
    """
    said = " ".join(clean(text).split())
    font = font_for(said, size)
    if font is None:  # at least the letters below the accents
        said = "".join(letter for letter in unicodedata.normalize("NFKD", said) if not unicodedata.combining(letter))
        font = font_for(said, size)
    if font is None:
        said, font = instead, ImageFont.load_default(size)
    if font.getlength(said) <= room:
        return said, font
    while said and font.getlength(said + "...") > room:
        said = said[:-1]
    return said + "...", font

"""Numbers, durations and foreign text as a person reads them: one way, for terminal, report and notebook alike.

What a user's file says (a column name, a label) is foreign: it may hold markup, control characters or wide letters.
"""

import json
import math
import re
import unicodedata
from typing import Any

from gipi.messages import _

CONTROLS = re.compile(r"[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")  # in JSON text
TURNS = frozenset(map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x206A))))  # what makes text run the other way

# metrics that people read as a share of all rows
SHARES = (
    "accuracy",
    "balanced_accuracy",
    "coverage",
    "error_rate",
    "exact_match",
    "agreement",
    "linear_probe",
    "neighbors",
)


# names of ours that a person reads, apart from what a sentence calls them: metrics, losses, players, states of a run
NAMES = (
    *("accuracy", "balanced accuracy", "f1 macro", "f1 micro", "auc", "log loss", "brier", "calibration error"),
    *("subset accuracy", "hamming loss", "rmse", "mae", "r2", "coverage", "interval width", "nll", "pinball"),
    *("mean iou", "dice", "pixel accuracy"),
    *("frechet", "frechet of real", "told apart", "variety", "return", "worst return"),
    *("mse", "psnr", "ssim", "linear probe", "neighbors", "alignment", "uniformity"),
    *("silhouette", "silhouette code", "agreement", "loss", "inspector", "forger", "learner", "player"),
    *("nearer", "wordsim", "wordsim known", "analogies", "analogies known"),
    *("running", "done", "interrupted", "diverged", "failed"),
)


def spoken(identifier: str) -> str:
    """What a person reads for a name of ours: `log_loss` is "log loss"; a name that is not ours stays as it is."""
    words = identifier.replace("_", " ")
    return _(words) if words in NAMES else words


def number(value: Any, digits: int = 4) -> str:
    """A number in as few letters as say it: `1,797`, `0.9825`, `3.2e-06`; `–` for None.

    Example:
        >>> number(1797), number(0.98254), number(0.0000032), number(None), number(12345.6)
        ('1,797', '0.9825', '3.2e-06', '–', '12,346')
    """
    if value is None:
        return "–"
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, int):
        return f"{value:,}"
    value = float(value)
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    size = abs(value)
    if size == 0:
        return "0"
    if size >= 1e7 or size < 1e-4:
        return f"{value:.{max(digits - 2, 0)}e}".replace("e+0", "e+").replace(".00e", "e").replace("0e-", "e-")
    return f"{value:,.0f}" if size >= 10 ** (digits - 1) else f"{value:.{digits}g}"


def metric(name: str, value: Any) -> str:
    """A metric's value: as percent where people read it so."""
    bare = name.removeprefix("train_").removeprefix("valid_").removeprefix("test_")
    if bare in SHARES and value is not None and math.isfinite(float(value)):
        return f"{100 * float(value):.1f} %"
    return number(value if value is None else float(value))


def steady(name: str, value: Any) -> str:
    """A metric in a column of them: always as many digits, so that the eye can run down."""
    said = metric(name, value)
    return f"{float(value):.4f}" if value is not None and not said.endswith("%") and 0.01 <= abs(value) < 100 else said


def interval(name: str, low: Any, high: Any) -> str:
    """A 95 % interval, or nothing where there is none."""
    if low is None or high is None or math.isnan(float(low)) or math.isnan(float(high)):
        return ""
    if metric(name, low).endswith(" %"):
        return f"{100 * float(low):.1f} … {100 * float(high):.1f} %"
    return f"{metric(name, low)} … {metric(name, high)}"


def duration(seconds: float | None) -> str:
    """A stretch of time: `12 ms`, `3.4 s`, `2 min 5 s`, `1 h 12 min`."""
    if seconds is None or not math.isfinite(seconds):
        return "–"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms" if seconds >= 0.001 or seconds == 0 else f"{seconds * 1000:.1g} ms"
    if seconds < 59.95:
        return _("{seconds} s", seconds=f"{seconds:.1f}")
    whole = round(seconds)
    if whole < 3600:
        return _("{minutes} min {seconds} s", minutes=whole // 60, seconds=whole % 60)
    return _("{hours} h {minutes} min", hours=whole // 3600, minutes=whole % 3600 // 60)


def clock(seconds: float) -> str:
    """Time left, as a clock shows it: `0:12`, `1:02:03`."""
    whole = max(0, math.ceil(seconds))
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def clean(text: Any) -> str:
    """Text that cannot steer a terminal: control characters (but for line end and tab) are shown, not obeyed."""
    return "".join(c if c in "\n\t" or _is_harmless(c) else "\N{REPLACEMENT CHARACTER}" for c in str(text))


def _is_harmless(letter: str) -> bool:
    return letter not in TURNS and unicodedata.category(letter) not in ("Cc", "Cs")


def harmless_json(value: Any, **options: Any) -> str:
    """JSON on one line whose text cannot steer a terminal: it lets no control character stand as it is.

    JSON itself escapes those below a space, not those from 127 on, of which one begins a terminal's commands.
    """
    text = json.dumps(value, **options)
    return CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def width(text: str) -> int:
    """How many columns of a terminal a text takes: Korean letters take two."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def shorten(text: Any, limit: int) -> str:
    """At most `limit` columns, the rest as an ellipsis; line ends become spaces."""
    said = " ".join(clean(text).split())
    if width(said) <= limit:
        return said
    kept = ""
    for letter in said:
        if width(kept + letter) > limit - 1:
            break
        kept += letter
    return kept + "…"


def pad(text: str, columns: int, right: bool = False) -> str:
    """Filled with spaces to so many columns."""
    space = " " * max(0, columns - width(text))
    return space + text if right else text + space


def wrapped(text: str, columns: int, indent: int = 0) -> list[str]:
    """Lines of at most so many columns, broken at spaces; all but the first begin with so many spaces.

    Example:
        >>> wrapped("--lr  학습률, 또는 auto", 16, 6)
        ['--lr  학습률,', '      또는 auto']
    """
    lines, line = [], ""
    for place, word in enumerate(text.split(" ")):
        longer = word if place == 0 else f"{line} {word}"
        if width(longer.rstrip()) > columns and line.strip():
            lines.append(line.rstrip())
            longer = " " * indent + word
        line = longer
    return [*lines, line.rstrip()]


def cell(value: Any) -> str:
    """A value in a table: numbers short, None a dash, foreign text cleaned."""
    if isinstance(value, float) or value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return number(value)
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if hasattr(value, "dtype") and getattr(value, "ndim", 1) == 0:
        return cell(value.item())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(cell, value))
    if isinstance(value, dict):
        return ", ".join(f"{clean(key)}: {cell(part)}" for key, part in value.items())
    return clean(value)


def is_number(value: Any) -> bool:
    """Whether a table aligns this value to the right."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def sentences(verdict: Any) -> list[str]:
    """What a verdict says: a string, a list of strings, or an object with `sentences` or `sentence`."""
    if verdict is None:
        return []
    if isinstance(verdict, str):
        return [verdict]
    if isinstance(verdict, (list, tuple)):
        return [str(part) for part in verdict]
    for name in ("sentences", "sentence"):
        if found := getattr(verdict, name, None):
            return sentences(found)
    return [str(verdict)]

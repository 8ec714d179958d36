"""What goes into a model and what comes out, as data: the contract of fit, predict, the bundle and the server.

A schema is learned from the training rows alone and is JSON both ways. What applies it to rows is data/features.py, in
NumPy, and data/encode.py, as tensors; this file needs neither, so that a kept model opens without PyTorch.

N numeric features, K category columns, C H W a picture, T tokens of a text
"""

import hashlib
from dataclasses import asdict, dataclass

Value = str | int | float | bool

# input kinds: number boolean category date picture text
# target kinds: class (one of values), labels (several of values), number (a point), normal (mean and spread),
#               quantiles (of `values`), text (a translation), tags (one of values for each token)

LARGE = 1e100
MISSING = ""  # the category that stands for "no value", where training rows had gaps
YEAR = 365.2425 * 86400.0  # seconds
WEEK = 7 * 86400.0
DAY = 86400.0
CYCLES = (("year", YEAR), ("week", WEEK), ("day", DAY))


@dataclass(frozen=True)
class Field:
    """One column or picture, how it becomes numbers, and (for a target) how it is predicted.

    Attributes:
        name: The column.
        kind: number, boolean, category, date, picture, text; for targets class, labels, number, normal, quantiles.
        shape: `(C, H, W)` of a picture; `(T,)` of a text, the most tokens that are looked at.
        values: The categories or classes, in the order of their codes; the levels of quantiles.
        center: Subtracted, then divided by `scale`: the training rows' mean and standard deviation.
        scale: See `center`.
        fill: What a missing number is taken for, before centering.
        has_missing: Training rows had gaps, so a flag feature says which values are filled.
        white: The value of white in a picture; picture files (0..255) are brought to it.
        positive: For a class of yes or no that was made of several: the one label that is yes.
        edges: Of bins along a number or date, centered and scaled; none unless a system wants them.
        centers: Of a picture, one for each channel, in place of `center`: as weights that were loaded learned it.
        scales: In place of `scale`, as `centers`.
        range: The lowest and highest number or date (seconds since 1970) of the training rows, in the column's own
            units: what a form shows beside its box. Nothing is cut off at it. None where nobody knows.
        tokenizer: How a text becomes tokens, as JSON (data/tokenizers.py); of a pair the first field's is for both.
    """

    name: str
    kind: str
    shape: tuple[int, ...] = ()
    values: tuple[Value, ...] = ()
    center: float = 0.0
    scale: float = 1.0
    fill: float = 0.0
    has_missing: bool = False
    white: float = 255.0
    positive: str | None = None
    edges: tuple[float, ...] = ()
    centers: tuple[float, ...] = ()
    scales: tuple[float, ...] = ()
    range: tuple[float, ...] = ()
    tokenizer: str = ""


@dataclass(frozen=True)
class Schema:
    """Inputs and targets, in order."""

    inputs: tuple[Field, ...]
    targets: tuple[Field, ...] = ()

    def to_json(self) -> dict:
        return asdict(self)

    @staticmethod
    def from_json(data: dict) -> "Schema":
        def fields(rows: list[dict]) -> tuple[Field, ...]:
            lists = ({name: tuple(value) for name, value in row.items() if isinstance(value, list)} for row in rows)
            return tuple(Field(**{**row, **own}) for row, own in zip(rows, lists, strict=True))

        return Schema(fields(data["inputs"]), fields(data["targets"]))

    def record(self) -> dict:
        """`to_json` for run.json: of a tokenizer, which may be long, its SHA-256 alone."""
        held = self.to_json()
        for field in (*held["inputs"], *held["targets"]):
            if field["tokenizer"]:
                field["tokenizer"] = hashlib.sha256(field["tokenizer"].encode()).hexdigest()
        return held

    @property
    def is_picture(self) -> bool:
        return any(field.kind == "picture" for field in self.inputs)

    @property
    def is_text(self) -> bool:
        return any(field.kind == "text" for field in self.inputs)


@dataclass(frozen=True)
class Sizes:
    """All that a network may know of the data.

    Attributes:
        input: `(N,)` numeric features, or `(C, H, W)`, or `(T,)` tokens of a text at most.
        output: How many numbers the task wants for each row; 0 where it wants some for each token.
        categories: How many values each category column has, not counting the bucket for unseen ones. A table's `x` is
            `(B, N + K)`: the numeric features, then a code for each category column, 0 for unseen, 1 .. values.
        is_class: The outputs are the scores of classes, of which one is right: only their differences count.
        is_labels: The outputs are the scores of labels, each of which is right or not.
        edges: For each numeric feature the edges of its bins, where `learn` was asked for bins; none for flags.
        vocabulary: How many tokens there are. A text's `x` is `(B, T)` of their numbers, -1 where the text has ended.
        target_vocabulary: How many tokens the language has that a text is translated into.
        tags: How many scores each token gets, where tokens are told apart.
        end: The token that ends a text, and stands between the two of a pair.
    """

    input: tuple[int, ...]
    output: int
    categories: tuple[int, ...] = ()
    is_class: bool = False
    is_labels: bool = False
    edges: tuple[tuple[float, ...], ...] = ()
    vocabulary: int = 0
    target_vocabulary: int = 0
    tags: int = 0
    end: int = 0


def sizes(schema: Schema, output: int) -> Sizes:
    """The sizes of a network for this schema."""
    kind = schema.targets[0].kind if schema.targets else ""
    is_class, is_labels = kind == "class", kind == "labels"
    if schema.is_picture:
        return Sizes(schema.inputs[0].shape, output, (), is_class, is_labels)
    if schema.is_text:
        return _text_sizes(schema, output, is_class, is_labels)
    edges = [field.edges if place == 0 else () for field in schema.inputs for place in range(len(numeric_names(field)))]
    categories = tuple(len(f.values) for f in schema.inputs if f.kind == "category")
    return Sizes((len(edges),), output, categories, is_class, is_labels, tuple(edges) if any(edges) else ())


def _text_sizes(schema: Schema, output: int, is_class: bool, is_labels: bool) -> Sizes:
    from gipi.data.tokenizers import tokenizer_of

    first, targets = schema.inputs[0], schema.targets
    tags = len(targets[0].values) if targets and targets[0].kind == "tags" else 0
    own = {"is_class": is_class, "is_labels": is_labels, "tags": tags}
    if not first.tokenizer:  # words, each with its place
        return Sizes(first.shape, output, vocabulary=len(first.values), **own)
    tokenizer = tokenizer_of(first.tokenizer)
    own |= {"vocabulary": tokenizer.size, "end": tokenizer.end}
    if targets and targets[0].kind == "text":
        own["target_vocabulary"] = tokenizer_of(targets[0].tokenizer or first.tokenizer).size
    return Sizes(first.shape, output, **own)


def feature_names(schema: Schema) -> list[str]:
    """The name of each column of a table's encoded `x`."""
    numeric = [name for field in schema.inputs for name in numeric_names(field)]
    return numeric + [field.name for field in schema.inputs if field.kind == "category"]


def numeric_names(field: Field) -> list[str]:
    """The numeric features that one field becomes."""
    if field.kind == "category":
        return []
    names = [field.name]
    if field.kind == "date":
        names += [f"{field.name} {part} of {cycle}" for cycle, _s in CYCLES for part in ("sine", "cosine")]
    return [*names, f"{field.name} is missing"] if field.has_missing else names


def target_columns(schema: Schema) -> tuple[Field, ...]:
    """The columns that hold the targets: one for each of several labels."""
    first = schema.targets[:1]
    if first and first[0].kind == "labels":
        return tuple(Field(str(name), "number") for name in first[0].values)
    return schema.targets

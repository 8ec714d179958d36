"""Word vectors as the word2vec program writes them, for whoever reads such files (gensim, fastText, spaCy).

The first line says how many words and how many numbers each has. Then, as text, a line for each word: the word and its
numbers. As binary: the word, a blank, the numbers as float32 (little endian), a line's end. The most frequent word
comes first, which some readers count on.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from gipi.errors import UsageError
from gipi.messages import _
from gipi.release.export import Exported
from gipi.release.model import Model
from gipi.training.checkpoint import write_atomically

AT_ONCE = 1000  # words that are put into bytes together


def write_words(model: Model, path: Path, is_binary: bool) -> Exported:
    """Write the words of a model with their vectors.

    Raises:
        UsageError: It has no words.
        RunError: It cannot be written.
    """
    if model.task != "relate":
        text = _("the task {task} has no words; --to word2vec-text and word2vec-binary are for relate", task=model.task)
        raise UsageError(text)
    words = [str(word) for word in model.schema.inputs[0].values]
    vectors = model.members[0].words.detach().float().cpu().numpy()  # type: ignore[union-attr]  # a table
    write_atomically(path, *_pieces(words, vectors, is_binary))
    name = json.dumps(path.name)
    usage = (
        f"from gensim.models import KeyedVectors\nwords = KeyedVectors.load_word2vec_format({name}, binary={is_binary})"
    )
    return Exported([path], usage)


def _pieces(words: list[str], vectors: np.ndarray, is_binary: bool) -> Iterator[bytes]:
    yield f"{len(words)} {vectors.shape[1]}\n".encode()
    for start in range(0, len(words), AT_ONCE):
        some = zip(words[start : start + AT_ONCE], vectors[start : start + AT_ONCE], strict=True)
        if is_binary:
            yield b"".join(b"%s %s\n" % (word.encode(), row.astype("<f4").tobytes()) for word, row in some)
        else:  # nine digits bring a float32 back to the bit
            yield "".join(f"{word} {' '.join(format(n, '.9g') for n in row.tolist())}\n" for word, row in some).encode()

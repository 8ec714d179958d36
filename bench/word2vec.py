"""What word vectors cost, and how good they are: gipi beside gensim, on the same words at the same settings.

    python bench/word2vec.py [--quick] [--turns 3] [--words 3000000] [--epochs 5] [--only ...]

The words are the letters of books (GIPI_DATA/books), lower-case, a paragraph a line; 100 numbers a word, window 5, five
noise words, words seen five times or more, frequent ones left out above 1e-3, step size 0.025 falling to nothing; both
architectures. Each turn has a seed of its own, the same for all. The time is that of a word of the text in training,
in microseconds: reading and counting are not in it, gipi's saving and logging are. `wordsim` and `analogies` are worked
out by gensim from everybody's vectors, in points of 100. gensim works with as many threads as there are cores
(`workers`), from lists of words in memory and, `from a file`, from a file of them, which avoids Python's lock.
"""

import argparse
import os
import re
import tempfile
from itertools import count
from pathlib import Path
from typing import Any

from turns import Bench, Figure, Turn, arguments, hold, timed

WORD = re.compile(r"[a-z]+")
SETTINGS: dict[str, Any] = {"window": 5, "negative": 5, "sample": 1e-3, "min_count": 5}
SIZE, STEP_SIZE = 100, 0.025


def data() -> Path:
    """Where real data lies."""
    return Path(os.environ.get("GIPI_DATA", "../shared/data"))


def lines(most: int) -> list[list[str]]:
    """The first lines of the books that have so many words together."""
    import lzma

    found, words = [], 0
    with lzma.open(data() / "books" / "books.txt.xz", "rt", encoding="utf-8") as file:
        for line in file:
            if line := WORD.findall(line.lower()):
                found.append(line)
                words += len(line)
            if words >= most:
                break
    return found


def written(text: list[list[str]]) -> tuple[Any, str]:
    """A folder that stays as long as it is held, and a file of these lines in it."""
    folder = tempfile.TemporaryDirectory()
    path = Path(folder.name) / "books.txt"
    path.write_text("\n".join(map(" ".join, text)) + "\n", encoding="utf-8")
    return folder, str(path)


def judged(words: list[str], vectors: Any) -> dict[str, float]:
    """`wordsim` and `analogies` as gensim works them out, in points, and what they lack of 100."""
    from gensim.models import KeyedVectors

    keyed = KeyedVectors(SIZE)
    keyed.add_vectors(words, vectors)
    _pearson, spearman, _unknown = keyed.evaluate_word_pairs(str(data() / "wordsim353" / "wordsim353.tsv"))
    questions = data() / "google_analogies" / "questions-words.txt"
    right, _sections = keyed.evaluate_word_analogies(str(questions))
    said = {"wordsim": 100 * spearman[0], "analogies": 100 * right}
    return {**said, "wordsim lacking": 100 - said["wordsim"], "analogies wrong": 100 - said["analogies"]}


def gensim(is_cbow: bool, is_file: bool):
    def ready(options: argparse.Namespace) -> Turn:
        from gensim.models import Word2Vec

        text, seeds = lines(options.words), count(1)
        folder, path = written(text)
        named: dict[str, Any] = {"corpus_file": path} if is_file else {"corpus_iterable": text}

        def turn() -> dict[str, float]:
            assert folder
            how = {"workers": options.threads, "seed": next(seeds), "epochs": options.epochs, "alpha": STEP_SIZE}
            model = Word2Vec(vector_size=SIZE, sg=int(not is_cbow), **how, **SETTINGS)  # type: ignore[arg-type]
            model.build_vocab(**named)
            known = {"total_words": model.corpus_total_words, "total_examples": model.corpus_count}
            seconds, _trained = timed(lambda: model.train(epochs=options.epochs, **named, **known))
            words = options.epochs * sum(map(len, text))
            return {"time": 1e6 * seconds / words, **judged(model.wv.index_to_key, model.wv.vectors)}

        return turn

    return ready


def ours(is_cbow: bool, has_threads: bool):
    def ready(options: argparse.Namespace) -> Turn:
        import gipi
        from gipi.training.log_file import read_log

        text, seeds = lines(options.words), count(1)
        folder, path = written(text)
        words = options.epochs * sum(map(len, text))
        del text

        def turn() -> dict[str, float]:
            with tempfile.TemporaryDirectory(dir=folder.name) as place:
                run = gipi.fit(
                    path,
                    task="relate",
                    architecture="cbow" if is_cbow else "skip-gram",
                    dimension=SIZE,
                    lr=STEP_SIZE,
                    seed=next(seeds),
                    epochs=options.epochs,
                    threads=options.threads if has_threads else None,
                    test_share=0.0,
                    verdict=False,
                    doctor=False,
                    quiet=True,
                    run=f"{place}/run",
                    **SETTINGS,
                )
                seconds = [line["seconds"] for line in read_log(run.path) if "seconds" in line][-1]
                table = run.model.members[0].words.detach().numpy()
                known = judged([*map(str, run.model.schema.inputs[0].values)], table)
            return {"time": 1e6 * seconds / words, **known}

        return turn

    return ready


KINDS = {"skip-gram": False, "cbow": True}
CONTENDERS = {
    f"{name}, {kind}": make
    for kind, is_cbow in KINDS.items()
    for name, make in (
        ("gensim", gensim(is_cbow, False)),
        ("gensim from a file", gensim(is_cbow, True)),
        ("gipi", ours(is_cbow, False)),
        ("gipi with threads", ours(is_cbow, True)),
    )
}
FIGURES = [
    figure
    for kind in KINDS
    for figure in (
        Figure(f"gensim, {kind}", f"gipi, {kind}", least=1.5),
        Figure(f"gensim from a file, {kind}", f"gipi, {kind}", least=1.5),
        Figure(f"gensim, {kind}", f"gipi with threads, {kind}"),
        Figure(f"gipi, {kind}", f"gensim, {kind}", most=1.01, name="wordsim lacking"),  # half a point of some 50
        Figure(f"gipi, {kind}", f"gensim, {kind}", most=1.006, name="analogies wrong"),  # half a point of some 85
    )
]

if __name__ == "__main__":
    given = arguments(__doc__, turns=3, threads=2, sizes={"words": (3_000_000, 200_000), "epochs": (5, 1)})
    hold(Bench("word2vec", CONTENDERS, FIGURES, "µs"), given)

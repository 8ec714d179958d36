"""Data of the cases, made by code: tables with a rule behind them, pictures of shapes, texts that mean something.

Every function draws from `chance` alone. `noise` is what no model can know.
"""

import numpy as np
import polars as pl
from case import Chance

WORDS_GOOD = ["good", "great", "lovely", "warm", "brilliant", "moving", "funny", "honest", "clever", "fine"]
WORDS_BAD = ["bad", "dull", "awful", "cold", "boring", "weak", "silly", "slow", "empty", "poor"]
WORDS_OTHER = [
    "the",
    "a",
    "film",
    "story",
    "actor",
    "scene",
    "with",
    "and",
    "of",
    "this",
    "that",
    "was",
    "is",
    "had",
    "music",
    "ending",
    "script",
    "camera",
    "director",
    "light",
    "minute",
    "long",
    "short",
    "first",
    "second",
    "friend",
    "house",
    "river",
    "morning",
    "city",
    "train",
]
KOREAN = [
    "영화",
    "정말",
    "너무",
    "배우",
    "이야기",
    "음악",
    "장면",
    "감독",
    "재미",
    "시간",
    "친구",
    "아침",
    "기차",
    "도시",
    "결말",
    "연기",
]


def rule(chance: Chance, columns: int, outputs: int, width: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """The weights of a small random network, which makes answers that are not linear in the columns."""
    return chance.normal(size=(columns, width)) / np.sqrt(columns), chance.normal(size=(width, outputs))


def classes(
    chance: Chance, rows: int = 800, columns: int = 8, count: int = 3, noise: float = 0.05
) -> tuple[np.ndarray, np.ndarray]:
    """`x (rows, columns)` and class numbers, evenly many of each as far as the rule allows.

    Args:
        chance: What draws.
        rows: How many.
        columns: Of numbers, standard normal.
        count: Of classes.
        noise: The share of labels that are drawn anew.
    """
    x = chance.normal(size=(rows, columns))
    one, two = rule(chance, columns, count)
    score = np.tanh(2 * x @ one) @ two
    score = (score - score.mean(0)) / score.std(0)
    y = score.argmax(1)
    wrong = chance.random(rows) < noise
    y[wrong] = chance.integers(0, count, wrong.sum())
    return x.astype(np.float32), y


def numbers(chance: Chance, rows: int = 800, columns: int = 8, r2: float = 0.9) -> tuple[np.ndarray, np.ndarray]:
    """`x` and a number whose variance is explained by the columns to the share `r2`."""
    x = chance.normal(size=(rows, columns))
    one, two = rule(chance, columns, 1)
    signal = (np.tanh(2 * x @ one) @ two)[:, 0] + x @ chance.normal(size=columns) * 0.3
    signal = (signal - signal.mean()) / signal.std()
    y = np.sqrt(r2) * signal + np.sqrt(1 - r2) * chance.normal(size=rows)
    return x.astype(np.float32), (20 + 5 * y).astype(np.float32)


def table(chance: Chance, rows: int = 600, noise: float = 0.1) -> pl.DataFrame:
    """A frame with numbers, a category and a class, `outcome`."""
    age, income = chance.normal(45, 12, rows), chance.lognormal(8, 0.5, rows)
    region = chance.choice(["north", "south", "east", "west"], rows)
    visits = chance.poisson(3, rows)
    score = (age - 45) / 12 + (np.log(income) - 8) / 0.5 - 0.5 * (visits - 3) + 1.2 * (region == "north")
    is_yes = (score + chance.logistic(0, 4 * noise, rows)) > np.median(score)
    return pl.DataFrame(
        {
            "age": age.round(1),
            "income": income.round(0),
            "region": region,
            "visits": visits,
            "outcome": np.where(is_yes, "yes", "no"),
        }
    )


def shapes(
    chance: Chance, rows: int = 500, side: int = 12, count: int = 4, noise: float = 0.15
) -> tuple[np.ndarray, np.ndarray]:
    """Grey pictures `(rows, side, side)` of bars, a cross, a square ... somewhere in noise, and their classes."""
    y = chance.integers(0, count, rows)
    pictures = np.abs(chance.normal(0, 255 * noise, (rows, side, side)))
    for row in range(rows):
        top, left = chance.integers(0, side - 6, 2)
        patch = pictures[row, top : top + 6, left : left + 6]
        light = chance.uniform(150, 250)
        if y[row] == 0:
            patch[2:4, :] = light
        elif y[row] == 1:
            patch[:, 2:4] = light
        elif y[row] == 2:
            patch[2:4, :] = patch[:, 2:4] = light
        else:
            patch[0], patch[-1], patch[:, 0], patch[:, -1] = (light,) * 4
    return pictures.clip(0, 255).astype(np.uint8), y


def reviews(chance: Chance, rows: int = 600, length: int = 12, noise: float = 0.05) -> pl.DataFrame:
    """Short texts that are for or against something, `text` and `opinion`."""
    texts, opinions = [], []
    for _row in range(rows):
        is_good = chance.random() < 0.5
        told = [*chance.choice(WORDS_GOOD if is_good else WORDS_BAD, 2)]
        words = chance.permutation([*told, *chance.choice(WORDS_OTHER, length)])
        texts.append(" ".join(words))
        opinions.append("good" if is_good != (chance.random() < noise) else "bad")
    return pl.DataFrame({"text": texts, "opinion": opinions})


def prose(chance: Chance, letters: int = 20_000) -> str:
    """Running text of sentences by a small grammar."""
    who = ["the king", "a dog", "my friend", "the old woman", "a young poet", "the river", "nobody", "the captain"]
    does = ["sees", "follows", "remembers", "fears", "sings of", "forgets", "waits for", "draws"]
    how = ["in silence", "at dawn", "with joy", "again", "by the sea", "for a year", "without a word"]
    sentences, long = [], 0
    while long < letters:
        one, other = chance.choice(who, 2)
        tail = f" {chance.choice(how)}" if chance.random() < 0.6 else ""
        sentence = f"{one} {chance.choice(does)} {other}{tail}.".capitalize()
        sentences.append(sentence + ("\n" if chance.random() < 0.3 else " "))
        long += len(sentences[-1])
    return "".join(sentences)

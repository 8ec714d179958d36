"""What can be said of the next token without a network: how often tokens followed each other, n at a time.

Interpolated Kneser-Ney (Kneser & Ney 1995; Chen & Goodman 1999, equation 25, with the discount n1 / (n1 + 2 n2) of Ney,
Essen & Kneser 1994): an n-gram that was seen says how often, less a discount; what the discounts leave is shared out by
the (n - 1)-grams, which count in how many different ways they came about. At the end every token is equally likely.

All n-grams of an order are numbered by one sort, so that millions of tokens take seconds.

n tokens, V vocabulary, k order
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gipi.messages import _

Array = np.ndarray
ORDERS = 6  # at most
MOST = 5_000_000  # training tokens that are counted; with more the memory that it takes would be felt


@dataclass(frozen=True)
class Guess:
    """One n-gram model and what it says of texts.

    Attributes:
        name: unigram or ngram.
        title: What a person calls it.
        order: How many tokens are looked at, the guessed one included.
        losses: For each text the loss in nats of each token but the first, `(n - 1,)`.
        seconds: That counting took.
        settings: How it was made, for a person.
    """

    name: str
    title: str
    order: int
    losses: list[Array]
    seconds: float
    settings: str


def guesses(train: Array, valid: Array, test: Array, vocabulary: int, orders: int = ORDERS) -> list[Guess]:
    """The unigram model, and the Kneser-Ney model of the order that says most of the validation text.

    Args:
        train: Tokens to be counted.
        valid: Decides the order; of fewer than two tokens the test text may not decide, and the order is 3.
        test: Tokens that are guessed.
        vocabulary: V.
        orders: The largest order that is tried.
    """
    began = time.perf_counter()
    train = train[-MOST:]  # what comes next is most like what came last
    found = losses_of_orders(train, [valid, test], vocabulary, orders)
    seconds = time.perf_counter() - began
    counted = _("counted in {count} tokens", count=len(train))
    one = Guess("unigram", _("how often each token is"), 1, found[0], seconds / orders, counted)
    if len(valid) > 1:
        best = min(range(1, orders), key=lambda place: (float(found[place][0].mean()), place), default=0)
    else:
        best = min(2, orders - 1)
    if best == 0:
        return [one]
    title = _("an n-gram model of order {order}", order=best + 1)
    how = counted + ", " + _("Kneser-Ney; the order by the validation text, of 2 to {most}", most=orders)
    return [one, Guess("ngram", title, best + 1, found[best], seconds, how)]


def losses_of_orders(train: Array, texts: Sequence[Array], vocabulary: int, orders: int) -> list[list[Array]]:
    """For each order, 1 to `orders`, and each text, the loss in nats of each token but the first.

    Args:
        train: `(n,)` tokens to be counted, one at least.
        texts: Tokens that are guessed, each from those before it in its own text.
        vocabulary: V.
        orders: How many.
    """
    parts = [np.asarray(part, np.int64) for part in (train, *texts)]
    whole = np.concatenate(parts)
    begins = np.repeat(np.cumsum([0, *map(len, parts)])[:-1], [*map(len, parts)])
    ages = np.arange(len(whole)) - begins  # how many tokens of its own text come before each
    is_train = np.arange(len(whole)) < len(train)
    grams = _numbered(whole, ages, orders, vocabulary)
    below = np.full(len(whole), 1 / vocabulary)
    found = []
    for k in range(1, orders + 1):
        is_whole = ages >= k - 1
        raw = _Level(grams, k, is_train & is_whole, None)
        found.append(np.where(is_whole, raw.share(below), below))
        if k < orders:  # for the orders above: in how many ways, not how often
            ways = _Level(grams, k, is_train & (ages >= k), grams[k + 1])
            below = np.where(is_whole, ways.share(below), below)
    ends = np.cumsum([len(part) for part in parts])
    spans = [slice(int(end) - len(part) + 1, int(end)) for part, end in zip(parts[1:], ends[1:], strict=True)]
    return [[-np.log(probability[span]) for span in spans] for probability in found]


def _numbered(whole: Array, ages: Array, orders: int, vocabulary: int) -> list[Array]:
    """For each k from 0 to `orders` the number of the k-gram that ends at each token; -1 where its text began later."""
    grams = [np.zeros(len(whole), np.int64)]
    for k in range(1, orders + 1):
        before = np.concatenate([[0], grams[-1][:-1]])  # the (k - 1)-gram that ends one token earlier
        is_whole = ages >= k - 1
        keys = np.where(is_whole, before * vocabulary + whole, -1)
        numbers = np.unique(keys, return_inverse=True)[1].reshape(-1)
        grams.append(np.where(is_whole, numbers, -1))
    return grams


class _Level:
    """The k-grams of one order, counted.

    Args:
        grams: As `_numbered` has them.
        k: The order.
        counted: Which tokens end a k-gram that counts.
        longer: The (k + 1)-grams: then each of them counts once; None: each time counts.
    """

    def __init__(self, grams: list[Array], k: int, counted: Array, longer: Array | None):
        self.gram = grams[k]
        self.context = np.concatenate([[0], grams[k - 1][:-1]]) if k > 1 else np.zeros(len(self.gram), np.int64)
        places = np.flatnonzero(counted)
        if longer is not None:
            places = places[np.unique(longer[places], return_index=True)[1]]
        kinds = int(self.gram.max()) + 1
        self.counts = np.bincount(self.gram[places], minlength=kinds).astype(np.float64)
        first = places[np.unique(self.gram[places], return_index=True)[1]]  # one place of each k-gram
        contexts = int(self.context.max()) + 1
        self.totals = np.bincount(self.context[places], minlength=contexts).astype(np.float64)
        self.kinds = np.bincount(self.context[first], minlength=contexts).astype(np.float64)
        once, twice = ((self.counts == many).sum() for many in (1, 2))
        # where all were seen once, or none, the formula leaves nothing of them, or nothing for what was not seen
        self.discount = float(once / (once + 2 * twice)) if once and twice else 0.5

    def share(self, below: Array) -> Array:
        """How likely each token is, by the k-gram that it ends, where `below` is what the order below says."""
        count = self.counts[np.maximum(self.gram, 0)]
        context = np.maximum(self.context, 0)
        total, kinds = self.totals[context], self.kinds[context]
        known = np.maximum(total, 1)
        said = np.maximum(count - self.discount, 0) / known + self.discount * kinds / known * below
        return np.where(total > 0, said, below)

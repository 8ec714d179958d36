"""Relate: running text or documents in, a vector for each word out; judged by neighbours in text that was held out."""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from torch import nn

from gipi import systems
from gipi.algorithms.schedules import schedule
from gipi.data.corpus import open_corpus
from gipi.data.schema import Field, Schema, sizes
from gipi.data.skipgrams import Skipgrams, held_out_pairs, update_size
from gipi.data.words import apart, known_only, known_words, read_words
from gipi.doctor.finding import View
from gipi.errors import DataError
from gipi.jobs import judge
from gipi.jobs.job import Job, Outcome, Setting
from gipi.jobs.known import COPIED, of_rows
from gipi.jobs.pieces import Progress as Told
from gipi.messages import _
from gipi.release.model import Model
from gipi.report.page import Table, Whole
from gipi.report.word_map import word_map
from gipi.tasks import relate as task
from gipi.tasks.intervals import Metric
from gipi.tasks.pictures import means
from gipi.tasks.scored import Rival, judge_scores
from gipi.tasks.verdict import Verdict
from gipi.training.member import Member, Plan, Progress

LARGE = 500_000  # words; from there a thread makes batches ahead
FEWEST = 2  # words that are known
ENOUGH, MOST_EPOCHS = 2_000_000, 50  # words that are looked at by default, and how often a small text is read for that
PAIRS = 20_000  # of neighbours, that vectors are judged by
PIECES = 8  # of the text held out, that the loss is worked out on
SHOWN, NEAR = 16, 6  # words of the report, and the words nearest to each
ON_MAP = 300
MOST_LINES = 100_000  # of a part, that the doctor looks at


class Relate(Job):
    """A text and a table of vectors; see Job."""

    members = 1

    def __init__(self, source: Any, setting: Setting, progress: Told | None = None):
        options = setting.options
        self.setting = setting
        corpus = open_corpus(source, options.text, progress)
        self.name = corpus.name
        config: Any = setting.config
        text = read_words(corpus.texts, corpus.is_running, config.lower, progress)
        given = corpus.parts.get("test")
        order = np.random.default_rng([options.seed, *b"split"]).permutation(len(corpus.texts))
        if given is not None and len(given):
            held = np.isin(text.documents, given)
            learned = ~held
        else:
            learned, held = apart(text, options.test_share, corpus.is_running, order.tolist())
        flags = np.repeat(learned, text.lengths)
        words, self.counts, numbers = known_words(text.words[flags], text.names, config.min_count, options.vocabulary)
        if len(words) < FEWEST:
            text_of = _(
                "{words} words were read, of which {known} are there {least} times or more: too few to learn from; more"
                " text is needed, or a smaller --min-count",
                words=len(text.words),
                known=len(words),
                least=config.min_count,
            )
            raise DataError(text_of)
        self.words, self.lines = known_only(text.words[flags], text.lengths[learned], numbers)
        self.held, self.held_lines = known_only(text.words[~flags], text.lengths[held], numbers)
        self.schema = Schema((Field("word", "text", (1,), values=tuple(words)),))
        self.sizes = sizes(self.schema, task.output(self.schema))
        self.defaults = systems.defaults(setting.system)
        self.batch_size = min(options.batch_size or self.defaults["batch_size"], len(self.words))
        if options.batch_size == 0:
            self.batch_size = len(self.words)
        self.plan = self._planned()
        said = hashlib.sha256("\n".join(words).encode()).hexdigest()
        self.record = {
            "task": "relate",
            "split": hashlib.sha256(held.tobytes()).hexdigest(),
            "data": hashlib.sha256(self.words.tobytes() + self.lines.tobytes() + self.held.tobytes()).hexdigest(),
            "schema": {"words": len(words), "sha256": said},
            "rows": {"train": len(self.words), "test": len(self.held)},
        }
        self.facts = [
            _(
                "{words} words, {known} different ones are known (there {least} times or more); {held} are held out",
                words=f"{len(text.words):,}",
                known=f"{len(words):,}",
                least=config.min_count,
                held=f"{int((~flags).sum()):,}",
            ),
            *corpus.notes,
        ]
        self.loss_name = _("neighbours against noise words")
        self.ways = [self._schedule]
        self.algorithm = self.describe_algorithm()

    @property
    def _schedule(self) -> str:
        return self.setting.options.schedule or self.defaults.get("schedule", "linear")

    def _planned(self) -> Plan:
        """Five epochs; of a small text more, until enough words were looked at."""
        options = self.setting.options
        every = -(-len(self.words) // self.batch_size)
        usual = self.defaults.get("epochs", 5)
        epochs = options.epochs or max(usual, min(MOST_EPOCHS, -(-ENOUGH // len(self.words))))
        steps = options.steps or epochs * every
        return Plan(steps, min(steps, every), 0)

    def _player(self, net: nn.Module) -> Any:
        """Who plays, with the step size that was asked for at each step."""
        (player,) = self.players(net, lambda lr: lambda step: lr).values()
        return player

    def _stream(self, net: nn.Module, words: np.ndarray, lines: np.ndarray) -> Skipgrams:
        config: Any = self.setting.config
        player = self._player(net)
        update = update_size(self.counts, config.sample, config.window, player.optimizer.size(0))
        size = min(self.batch_size, len(words))
        options = self.setting.options
        workers = int(len(words) >= LARGE) if options.workers is None else options.workers
        drawn = (config.window, config.sample, update, options.seed, player.shared)
        return Skipgrams(words, lines, self.counts, size, *drawn, workers, self.setting.device)

    def build(self, number: int) -> Member:
        setting = self.setting
        net = setting.system.Net(self.sizes, setting.config).to(setting.device)
        players = self.players(net, schedule(self._schedule, self.plan.steps, setting.options.warmup))
        (player,) = players.values()
        size_of = player.optimizer.size  # type: ignore[attr-defined]  # it moves words by a step size of its own
        stream = self._stream(net, self.words, self.lines)
        return Member(number, net, players, stream, self.plan, step_size=size_of)

    def layers(self, net: nn.Module) -> list[tuple[str, Any, int | None]]:
        named = net.named_parameters()
        return [(f"{name} Embedding", (table.shape[1],), table.numel()) for name, table in named]

    def view(self) -> View:
        """Lines and documents that are so long that none is there twice by chance."""
        both = {"train": (self.words, self.lines), "test": (self.held, self.held_lines)}
        return of_rows({part: _long_lines(*some) for part, some in both.items()})

    # --- when it is trained

    def finish(self, nets: Sequence[nn.Module], progress: Sequence[Progress], seconds: float) -> Outcome:
        setting, options = self.setting, self.setting.options
        config: Any = setting.config
        model = Model("relate", setting.system_name, self.schema, self.sizes, setting.config_of_file, [*nets])
        space = task.space_of(model)
        is_held = len(self.held) > 1
        words, lines = (self.held, self.held_lines) if is_held else (self.words, self.lines)
        pairs = held_out_pairs(words, lines, self.counts, config.window, config.sample, PAIRS, options.seed)
        metrics: dict[str, Any] = {"loss": self._loss(nets[0], words, lines)}
        part = _("text held out") if is_held else _("training text (nothing was held out)")
        outcome = Outcome(model, metrics, _("{part}, {pairs} pairs of neighbours", part=part, pairs=len(pairs)))
        if len(pairs) > 1:
            wins = {"nearer": task.nearer(space.unit, pairs)}
            outcome.metrics = {**means(wins, seed=options.seed), **metrics}
            if options.verdict and is_held:
                outcome.verdict = self._verdict(wins, pairs, seconds)
                outcome.baseline_metric, outcome.baselines = "nearer", judge.baselines_of(outcome.verdict)
        self._show(outcome, space)
        return outcome

    def _loss(self, net: nn.Module, words: np.ndarray, lines: np.ndarray) -> Metric:
        """Of a pair, on some pieces of a text, as training works it out."""
        player, stream = self._player(net), self._stream(net, words, lines)
        found = []
        for number in range(min(PIECES, stream.batches)):
            found.append(float(player.loss(stream.piece(0, number))))
        return Metric(float(np.mean(found)), higher_is_better=False)

    def _verdict(self, wins: dict[str, np.ndarray], pairs: np.ndarray, seconds: float) -> Verdict:
        """Against vectors that were counted, of the same text and the same length, on the same pairs."""
        from gipi.tasks.word_counts import counted_vectors

        options, config = self.setting.options, self.setting.config
        began = time.perf_counter()
        own: Any = config
        vectors, how = counted_vectors(
            *(self.words, self.lines, self.counts, own.window, own.sample, own.dimension),
            options.verdict_seconds,
            options.seed,
        )
        counted = task.Space(self.schema.inputs[0].values, vectors)  # type: ignore[arg-type]  # words
        theirs = {"nearer": task.nearer(counted.unit, pairs)}
        rival = Rival("ppmi_svd", _("counts of neighbours (PPMI, SVD)"), theirs, time.perf_counter() - began, how)
        verdict = judge_scores(self.setting.system_name, wins, seconds, [rival], "nearer", options.seed)
        note = _("a pair counts as right where the neighbour is nearer than a word from elsewhere; 0.5 is chance")
        return replace(verdict, note=note)

    def _show(self, outcome: Outcome, space: task.Space) -> None:
        """What is near to frequent words, and a map of them."""
        config: Any = self.setting.config
        share = self.counts / self.counts.sum()
        said = np.flatnonzero(share <= (config.sample or 1))  # those that stand everywhere say little
        if len(said) < FEWEST:
            said = np.arange(len(share))
        shown = said[:SHOWN]
        near = space.near(space.unit[shown], [{place} for place in shown.tolist()], NEAR)
        rows = [
            [space.words[place], ", ".join(f"{word} {cosine:.2f}" for word, cosine in found)]
            for place, found in zip(shown.tolist(), near, strict=True)
        ]
        outcome.results.append(Table([_("word"), _("nearest words, with the cosine")], rows, _("Nearest words")))
        some = said[:ON_MAP]
        unit = space.unit[some] - space.unit[some].mean(0)
        axes = np.linalg.svd(unit, full_matrices=False)[2][:2]
        places = unit @ axes.T
        if places.shape[1] == 2:
            picture = np.asarray(word_map([space.words[place] for place in some.tolist()], places))
            note = _("The most frequent words, by the two directions in which their vectors differ most.")
            outcome.results.append(Whole(picture, _("A map of {count} words", count=len(some)), note))


def _long_lines(words: np.ndarray, lines: np.ndarray) -> list[np.ndarray]:
    """The lines of known words that are long enough to be copies of each other; `lines` numbers each word's."""
    starts = np.flatnonzero(np.diff(lines, prepend=-1))
    stops = np.append(starts[1:], len(words))
    chosen = np.flatnonzero(stops - starts >= COPIED)[:MOST_LINES]
    return [words[starts[n] : stops[n]] for n in chosen]

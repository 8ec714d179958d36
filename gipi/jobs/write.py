"""Write and chat: text in, a network that goes on with it; judged by how much of a text that it never saw it foresees.

B rows, T tokens of a window
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from gipi import systems, tasks
from gipi.algorithms.schedules import schedule
from gipi.data.corpus import open_corpus
from gipi.data.schema import Field, Schema, sizes
from gipi.data.split import split
from gipi.data.texts import open_rows
from gipi.data.token_files import tokens_of
from gipi.data.tokenizers import Tokenizer
from gipi.data.windows import Windows, shifted
from gipi.doctor.finding import View
from gipi.errors import DataError, UsageError
from gipi.jobs import judge
from gipi.jobs.first_batch import check_loss, check_network
from gipi.jobs.job import Job, Outcome, Setting, layers_of
from gipi.jobs.known import of_rows, of_running
from gipi.jobs.running import parts_of
from gipi.jobs.texts import TOKENIZER, context_for, tokenizer_for
from gipi.messages import _
from gipi.release.model import Model
from gipi.report.page import Table
from gipi.tasks import chat, write
from gipi.tasks.intervals import Array
from gipi.tasks.language import verdict
from gipi.tasks.ngrams import guesses
from gipi.tasks.repeats import STRETCHES, entropies, most_repeated, repeated, repeats_of, stretches
from gipi.tasks.write import Guessed, Way, metrics_of, pieces
from gipi.training.member import Member, Plan, Progress

STEPS = 2000  # by default, where the system does not say
LOOKS = 10  # at validation in a run
LOOKED_AT = 16_384  # tokens at each look, about
FEWEST = 10  # pairs; of fewer none is set aside
SHORT = 5_000_000  # letters; of fewer the words are seen too seldom, so letters are what is learned, unless asked
HASHED = 1 << 24  # tokens at once
SEEN = 100_000  # tokens of the training text that are judged where nothing was set aside
SAMPLES, LONG = 3, 300  # texts in a report, and tokens of each
TALKED = 12  # answers in a report
MOST_PAIRS = 100_000  # of a part, that the doctor looks at
WARMTH = 0.8  # temperature of what is written for a report


@dataclass
class Texts:
    """What is learned from, as tokens.

    Attributes:
        name: Of the data.
        column: What the text is called.
        answer: The column of the answers; "" where a text goes on.
        tokenizer: What made the tokens.
        tokens: Of each part, one text behind the other; below zero what is not to be guessed.
        pairs: Of each part, where questions are answered.
        begin: A token that texts begin with.
        notes: On the data, for a person.
    """

    name: str
    column: str
    answer: str
    tokenizer: Tokenizer
    tokens: dict[str, Array]
    pairs: dict[str, list[Array]] = field(default_factory=dict)
    begin: int = 0
    notes: list[str] = field(default_factory=list)


def running(source: Any, setting: Setting, progress: Any) -> Texts:
    """A text that goes on, or many."""
    options = setting.options
    corpus = open_corpus(source, options.text, progress)
    parts = parts_of(corpus, options)
    letters = sum(map(len, parts["train"].texts))
    tokenizer = tokenizer_for(setting, parts["train"].texts, "characters" if letters < SHORT else TOKENIZER)
    tokens = {part: tokens_of(some, tokenizer, progress) for part, some in parts.items()}
    tokens = {part: some for part, some in tokens.items() if len(some) > 1 or part == "train"}
    if len(tokens["train"]) < 2:
        raise DataError(_("{name}: two tokens at least are needed to guess one by the other", name=corpus.name))
    begin = tokenizer.end
    if corpus.is_running:  # no text ends in it: a new one begins as a line does, or as the first did
        line = tokenizer.encode("\n")[-1:]
        head = np.asarray(tokens["train"][:100_000])
        begin = line[0] if line and line[0] in head else int(head[0])
    return Texts(corpus.name, "text", "", tokenizer, tokens, begin=begin, notes=corpus.notes)


def talk(source: Any, setting: Setting, progress: Any) -> Texts:
    """Pairs of a question and an answer."""
    options = setting.options
    if len(options.text) > 1 or len(options.target) > 1:
        raise UsageError(_("a question and its answer are wanted: --text COLUMN --target COLUMN, one each"))
    data = open_rows(source, options.text, options.target, progress)
    if len(data.text) != 1 or len(data.target) != 1:
        raise UsageError(_("a question and its answer are wanted: --text COLUMN --target COLUMN, one each"))
    questions, answers = chat.columns_of(data.frame, data.text[0], data.target[0])
    kept = [number for number, answer in enumerate(answers) if answer.strip()]
    notes = [*data.notes]
    if len(kept) < len(answers):
        notes.append(_("rows without an answer, left out: {count}", count=len(answers) - len(kept)))
    if len(kept) < 2:
        raise DataError(_("{name}: two answered questions at least are needed", name=data.name))
    questions, answers = [questions[n] for n in kept], [answers[n] for n in kept]
    rows = {"train": np.arange(len(kept))}
    if len(kept) >= FEWEST:
        rows = split(len(kept), options.seed, test=options.test_share, valid=options.valid_share)
    # neighbours in a file are often alike, and an answer would be read off the one before it
    mixed = np.random.default_rng([options.seed, *b"talk"]).permutation(rows["train"])
    tokenizer = tokenizer_for(setting, [text for n in rows["train"] for text in (questions[n], answers[n])])
    pairs = {
        part: chat.turns(tokenizer, [questions[n] for n in some], [answers[n] for n in some])
        for part, some in {**rows, "train": mixed}.items()
    }
    tokens = {part: np.concatenate(some) for part, some in pairs.items()}
    return Texts(data.name, data.text[0], data.target[0], tokenizer, tokens, pairs, tokenizer.begin, notes)


class Write(Job):
    """Texts and a network that goes on with them; see Job."""

    members = 1

    def __init__(self, source: Any, setting: Setting, progress: Any = None):
        options = setting.options
        self.setting = setting
        self.is_chat = options.task == "chat"
        self.texts = (talk if self.is_chat else running)(source, setting, progress)
        self.name, self.tokens = self.texts.name, self.texts.tokens
        self.task = tasks.load("chat" if self.is_chat else "write")
        own = setting.own.loss  # which may be a mean over whatever its maker wants
        self.loss, self.count = own or self.task.loss, None if own else lambda batch: self.task.asked(batch[1])
        train = self.tokens["train"]
        self.context = min(context_for(setting), len(train) - 1)
        text = Field(self.texts.column, "text", (self.context,), tokenizer=self.texts.tokenizer.to_json())
        self.schema = Schema((text,))
        self.sizes = sizes(self.schema, self.task.output(self.schema))
        self.defaults = systems.defaults(setting.system)
        self.batch_size = options.batch_size or self.defaults.get("batch_size", 32)
        every = self._stream().batches
        steps = options.steps or (options.epochs or 0) * every or self.defaults.get("steps", STEPS)
        self.plan = Plan(steps, max(1, -(-steps // LOOKS)), options.patience)
        self.schedule_name = options.schedule or self.defaults.get("schedule", "constant")
        usual = _("cross entropy of the answers' tokens") if self.is_chat else _("cross entropy of the next token")
        self.loss_name = getattr(own, "__name__", type(own).__name__) if own else usual
        self.record = {
            "task": "chat" if self.is_chat else "write",
            "data": _fingerprint(self.tokens.values()),
            "schema": self.schema.record(),
            "rows": {part: len(some) for part, some in self.tokens.items()},
            "weights": setting.weights and setting.weights.sha256,
        }
        self.facts = self._facts()
        self.ways = [] if self.schedule_name == "constant" else [self.schedule_name]
        self.algorithm = self.describe_algorithm()

    def _facts(self) -> list[str]:
        words = {"train": _("training"), "valid": _("validation"), "test": _("test")}
        held = ", ".join(_("{count} {part}", count=len(some), part=words[part]) for part, some in self.tokens.items())
        kind, size = self.texts.tokenizer.kind, self.texts.tokenizer.size
        facts = [
            _("tokens: {kind}, {count} different", kind=kind, count=size) + f"; {held}",
            _("windows of {context} tokens", context=self.context),
        ]
        if self.is_chat:
            count = sum(map(len, self.texts.pairs.values()))
            facts.insert(0, _("{count} questions with their answers", count=count))
        return [*facts, *self.texts.notes]

    def _stream(self) -> Windows:
        ranks, options = self.setting.ranks, self.setting.options
        return Windows(
            self.tokens["train"],
            self.context + 1,
            self.batch_size,
            options.seed,
            self.setting.device,
            chat.only_answers if self.is_chat else shifted,
            self.context,
            (ranks.rank, ranks.size),
        )

    # --- the member

    def build(self, number: int) -> Member:
        setting, options = self.setting, self.setting.options
        net = setting.system.Net(self.sizes, setting.config).to(setting.device)
        x = self._example()
        check_network(net, x, (*x.shape, self.sizes.vocabulary), self.record["task"])
        if setting.own.loss:
            check_loss(setting.own.loss, net(x), x, False)
        self.take_weights(net)
        size_of = schedule(self.schedule_name, self.plan.steps, options.warmup)
        member = Member(number, net, self.players(net, size_of), self._stream(), self.plan)
        if "valid" in self.tokens:
            member.validate = self._validator(net)
        if isinstance(getattr(setting.config, "lr", None), float):
            member.step_size = size_of(setting.config.lr)
        return member

    def _example(self) -> torch.Tensor:
        return torch.zeros(2, self.context, dtype=torch.long, device=self.setting.device)

    def _validator(self, net: nn.Module) -> Callable[[], dict[str, float]]:
        """The loss on windows of the validation text, or on pairs, that stay the same."""
        device, tokens, loss_of = self.setting.device, self.tokens["valid"], self.loss
        assert loss_of
        rows = max(1, LOOKED_AT // self.context)
        if self.is_chat:
            x, y = chat.rows_of(self.texts.pairs["valid"][:rows], self.context)
        else:
            width = min(self.context + 1, len(tokens))
            starts = np.arange(0, len(tokens) - width + 1, max(1, width - 1))
            starts = starts[np.linspace(0, len(starts) - 1, min(rows, len(starts))).astype(int)]
            x, y = shifted(torch.from_numpy(tokens[starts[:, None] + np.arange(width)].astype(np.int64)))
        most = max(1, write.AT_ONCE // (x.shape[1] * self.sizes.vocabulary))
        batches = list(zip(x.to(device).split(most), y.to(device).split(most), strict=True))

        def validate() -> dict[str, float]:
            with torch.inference_mode():
                found = [(loss_of(net(x), y).item(), int(write.asked(y))) for x, y in batches]
            total = sum(loss * count for loss, count in found) / max(1, sum(count for _loss, count in found))
            return self.setting.ranks.first_says({"loss": total})

        return validate

    def layers(self, net: nn.Module) -> list[tuple[str, Any, int | None]]:
        return layers_of(net, self._example())

    def view(self) -> View:
        if not self.is_chat:
            return of_running(self.tokens, self.texts.tokenizer)
        pairs = self.texts.pairs.items()
        return of_rows({part: [np.where(pair < 0, ~pair, pair) for pair in some[:MOST_PAIRS]] for part, some in pairs})

    # --- when it is trained

    def finish(self, nets: Sequence[nn.Module], progress: Sequence[Progress], seconds: float) -> Outcome:
        setting, options = self.setting, self.setting.options
        config = setting.config_of_file
        model = Model(self.record["task"], setting.system_name, self.schema, self.sizes, config, [*nets])
        model.extra = {"seed": options.seed, "begin": self.texts.begin}
        if self.is_chat:
            model.extra["answer"] = self.texts.answer
        part = "test" if "test" in self.tokens else "train"
        found, lengths = self._guessed(nets[0], part)
        sums = pieces(found, lengths)
        metrics = metrics_of(sums, seed=options.seed)
        words = {"test": _("test part"), "train": _("training text (nothing was set aside)")}
        said = _(
            "{part}, {tokens} tokens of {bytes} bytes", part=words[part], tokens=len(lengths), bytes=int(lengths.sum())
        )
        outcome = Outcome(model, metrics, said)
        table = self._talked(model, part) if self.is_chat else self._written(model)
        outcome.results.append(table)
        if options.doctor:
            outcome.evidence["repeats"] = self._repeats(model, [str(row[1]) for row in table.rows])
        if options.verdict and part == "test":
            outcome.verdict = verdict(setting.system_name, sums, seconds, self._rivals(), lengths, options.seed)
            outcome.baseline_metric = "bits_per_byte"
            outcome.baselines = judge.baselines_of(outcome.verdict)
        return outcome

    def _guessed(self, net: nn.Module, part: str) -> tuple[Guessed, Array]:
        """What the network says of each token of a part that is to be guessed, and the bytes of each."""
        tokenizer, device = self.texts.tokenizer, self.setting.device
        if self.is_chat:
            pairs = self.texts.pairs[part]
            return chat.guessed(net, pairs, self.context, device), chat.bytes_of(tokenizer, pairs, self.context)
        tokens = self.tokens[part][: write.MOST if part == "test" else SEEN]
        return write.guessed(net, tokens, self.context, device), write.bytes_of(tokenizer, tokens)

    def _rivals(self) -> list[Any]:
        none = np.empty(0, np.int32)
        train, valid, test = (self.tokens.get(part, none) for part in ("train", "valid", "test"))
        if not self.is_chat:
            return guesses(train, valid[: write.MOST], test[: write.MOST], self.sizes.vocabulary)
        train, valid, test = (np.where(part < 0, ~part, part) for part in (train, valid, test))
        is_asked = np.concatenate([_shown(pair, self.context) for pair in self.texts.pairs["test"]])[1:]
        found = guesses(train, valid, test, self.sizes.vocabulary)
        return [replace(one, losses=[*one.losses[:-1], one.losses[-1][is_asked]]) for one in found]

    def _written(self, model: Model) -> Table:
        seed = self.setting.options.seed
        texts = []
        for number in range(SAMPLES):
            ids, _cut = write.prompt_of(model, "")
            way = Way(LONG, temperature=WARMTH, seed=seed + number)
            texts.append([number + 1, "".join(write.written(model, ids, way))])
        return Table(["", _("text")], texts, _("What it writes (temperature {value})", value=WARMTH))

    def _repeats(self, model: Model, texts: list[str]) -> dict[str, Any]:
        """How much of what it wrote is repeated, beside the training text; of a talk the likeliest answers."""
        tokenizer, train = self.texts.tokenizer, self.tokens["train"]
        if self.is_chat:
            pairs = self.texts.pairs["train"]
            natural = [pair[pair >= 0] for pair in pairs[:: -(-len(pairs) // STRETCHES)]]
            drawn, likeliest = [], texts
        else:
            ids, _cut = write.prompt_of(model, "")
            natural = stretches(train, LONG)
            drawn, likeliest = texts, ["".join(write.written(model, ids, Way(LONG, temperature=0.0)))]
        told = [[np.array(tokenizer.encode(text)) for text in some] for some in (drawn, likeliest)]
        found = repeats_of(natural, *told)
        if found:
            run = found["run"]
            worst = max((*told[0], *told[1]), key=lambda ids: repeated(ids, run))
            found["piece"] = repr(tokenizer.decode(most_repeated(worst, run)))
            found["entropies"] = entropies(train[train >= 0] if self.is_chat else train)
        return found

    def _talked(self, model: Model, part: str) -> Table:
        tokenizer, rows = self.texts.tokenizer, []
        for pair in self.texts.pairs[part][:TALKED]:
            question = tokenizer.decode(~pair[pair < 0])
            ids, _cut = chat.prompt_of(model, question)
            said = "".join(chat.answered(model, ids, Way(temperature=0.0)))
            rows.append([question, said, tokenizer.decode(pair[pair >= 0])])
        names = [_("question"), _("its answer (the likeliest)"), _("the answer in the data")]
        return Table(names, rows, _("What it answers"))


def _fingerprint(parts: Iterable[Array]) -> str:
    """A hash of exactly these tokens, piece by piece: they may be a file larger than memory."""
    digest = hashlib.sha256()
    for tokens in parts:
        digest.update(f"{tokens.dtype} {len(tokens)}".encode())
        for start in range(0, len(tokens), HASHED):
            digest.update(np.ascontiguousarray(tokens[start : start + HASHED]).data)
    return digest.hexdigest()


def _shown(pair: Array, context: int) -> Array:
    """Which tokens of a pair are guessed: those of the answer, as far as a context reaches."""
    is_asked = pair >= 0
    is_asked[: max(0, len(pair) - context)] = False
    return is_asked

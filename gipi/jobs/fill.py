"""Fill: text in, a network that guesses words left out out; judged on text that it never saw. BERT's pre-training.

Its weights are what other tasks may begin with: `gipi fit reviews.csv --target sentiment --weights RUN`.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gipi import systems
from gipi.algorithms.schedules import schedule
from gipi.data.corpus import open_corpus
from gipi.data.masking import EDGES, masked_windows
from gipi.data.schema import Field, Schema, sizes
from gipi.data.token_files import tokens_of
from gipi.doctor.finding import View
from gipi.errors import DataError, UsageError
from gipi.jobs import judge
from gipi.jobs.first_batch import check_network
from gipi.jobs.job import Job, Outcome, Setting, layers_of
from gipi.jobs.known import of_running
from gipi.jobs.running import parts_of
from gipi.jobs.texts import context_for, tokenizer_for
from gipi.messages import _
from gipi.release.model import Model
from gipi.report.page import Table
from gipi.tasks import fill as task
from gipi.tasks.fill_baselines import fit_guessers
from gipi.tasks.summed import judge_sums
from gipi.training.member import Member, Plan, Progress

STEPS = (1000, 20_000)  # by default, at least and at most: a short text is seen often
LOOKS = 20  # at validation in a run
LOOKED_AT = 64  # windows at each look
SHOWN = 12  # guesses in the report
AROUND = 8  # tokens around a guess in the report


class Fill(Job):
    """Running text or documents; see Job."""

    members = 1

    def __init__(self, source: Any, setting: Setting, progress: Any = None):
        options = setting.options
        self.setting = setting
        corpus = open_corpus(source, options.text, progress)
        self.name = corpus.name
        parts = parts_of(corpus, options)
        self.tokenizer = tokenizer_for(setting, parts["train"].texts)
        self.tokens = {part: tokens_of(some, self.tokenizer, progress) for part, some in parts.items()}
        self.tokens = {part: some for part, some in self.tokens.items() if len(some) or part == "train"}
        count = len(self.tokens["train"])
        if count < 2:
            raise DataError(_("{name}: two words at least are needed to guess one by the other", name=self.name))
        context = min(context_for(setting), count + EDGES)
        if context < EDGES + 2:
            raise UsageError(_("--context {context} is too short to see a word; at least 8", context=context))
        text = Field("text", "text", (context,), tokenizer=self.tokenizer.to_json())
        self.schema = Schema((text,))
        self.sizes = sizes(self.schema, task.output(self.schema))
        self.context = context
        seed = options.seed
        self.held = {
            part: task.held_out(some, self.tokenizer, context, seed, LOOKED_AT if part == "valid" else task.MOST)
            for part, some in self.tokens.items()
            if part != "train" or "test" not in self.tokens
        }
        self.defaults = systems.defaults(setting.system)
        self.batch_size, self.plan = self._plan(count)
        self.schedule_name = options.schedule or self.defaults.get("schedule", "constant")
        self.loss_name = _("cross entropy of the words left out")
        self.record = {
            "task": "fill",
            "data": judge.fingerprint_of(*(torch.from_numpy(some.astype(np.int32)) for some in self.tokens.values())),
            "schema": self.schema.record(),
            "rows": {part: len(some) for part, some in self.tokens.items()},
            "weights": setting.weights and setting.weights.sha256,
        }
        words = {"train": _("training"), "valid": _("validation"), "test": _("test")}
        held = ", ".join(_("{count} {part}", count=len(some), part=words[part]) for part, some in self.tokens.items())
        kind, size = self.tokenizer.kind, self.tokenizer.size
        self.facts = [
            _("tokens: {kind}, {count} different", kind=kind, count=size) + f"; {held}",
            _("windows of {context} tokens, of which 15 % are asked for", context=context),
            *corpus.notes,
        ]
        self.ways = [self.schedule_name] if self.schedule_name != "constant" else []
        self.algorithm = self.describe_algorithm()

    def _plan(self, count: int) -> tuple[int, Plan]:
        options = self.setting.options
        batch_size = options.batch_size or self.defaults.get("batch_size", 32)
        every = -(-count // (batch_size * (self.context - EDGES)))  # steps in which each token is seen about once
        usual = int(np.clip(self.defaults.get("epochs", 12) * every, *STEPS))
        steps = options.steps or (options.epochs * every if options.epochs else usual)
        return batch_size, Plan(steps, min(steps, max(every, -(-steps // LOOKS))), options.patience)

    # --- the member

    def build(self, number: int) -> Member:
        options, setting = self.setting.options, self.setting
        net = setting.system.Net(self.sizes, setting.config).to(setting.device)
        x = self._example()
        check_network(net, x, (*x.shape, self.sizes.vocabulary), "fill")
        self.take_weights(net)
        size_of = schedule(self.schedule_name, self.plan.steps, options.warmup)
        kinds = self.batch_size, self.context, self.tokenizer, options.seed, setting.device
        stream = masked_windows(self.tokens["train"], *kinds)
        member = Member(number, net, self.players(net, size_of), stream, self.plan)
        if "valid" in self.held:
            member.validate = self._validator(net)
        if isinstance(getattr(setting.config, "lr", None), float):
            member.step_size = size_of(setting.config.lr)
        return member

    def _example(self) -> Tensor:
        return next(iter(self.held.values()))[0][:2].to(self.setting.device)

    def _validator(self, net: nn.Module) -> Callable[[], dict[str, float]]:
        def validate() -> dict[str, float]:
            figures = task.metrics(task.scored([net], self.held["valid"]), intervals=False)
            return {"loss": float(figures["loss"]), "accuracy": float(figures["accuracy"])}

        return validate

    def layers(self, net: nn.Module) -> list[tuple[str, Any, int | None]]:
        return layers_of(net, self._example())

    def view(self) -> View:
        return of_running(self.tokens, self.tokenizer)

    # --- when it is trained

    def finish(self, nets: Sequence[nn.Module], progress: Sequence[Progress], seconds: float) -> Outcome:
        setting, options = self.setting, self.setting.options
        config = setting.config_of_file
        model = Model("fill", setting.system_name, self.schema, self.sizes, config, [*nets])
        part = "test" if "test" in self.held else "train"
        held = self.held[part]
        sums = task.scored(model.members, held)
        asked = int(sums[:, task.ASKED].sum())
        words = {"test": _("test part"), "train": _("training text (nothing was set aside)")}
        said = _(
            "{part}: {count} words left out of {windows} windows", part=words[part], count=asked, windows=len(sums)
        )
        outcome = Outcome(model, task.metrics(sums, seed=options.seed), said)
        outcome.results.append(self._guesses(model, held))
        if options.verdict and part == "test":
            rivals = fit_guessers(self.tokens["train"], self.tokenizer, held)

            def figures(each: np.ndarray) -> dict[str, Any]:
                return task.metrics(each, seed=options.seed)

            kinds = "accuracy", figures, task.accuracy_of, options.seed
            outcome.verdict = judge_sums(setting.system_name, sums, seconds, rivals, *kinds)
            outcome.baseline_metric, outcome.baselines = "accuracy", judge.baselines_of(outcome.verdict)
        return outcome

    def _guesses(self, model: Model, held: task.Masked) -> Table:
        """Some of the words left out, what stood around them, and what was guessed."""
        tokenizer, rows = self.tokenizer, []
        for x, places, y in zip(*(part[:SHOWN] for part in held), strict=True):
            if y[0] < 0:
                continue
            place, ids = int(places[0]), x.tolist()
            around = ids[max(1, place - AROUND) : place], ids[place + 1 : min(len(ids) - 1, place + 1 + AROUND)]
            sides = [tokenizer.decode(side) for side in around]
            with torch.no_grad():
                device = next(model.members[0].parameters()).device
                net: Any = model.members[0]
                guess = net.guesses(x[None].to(device), places[None, :1].to(device))[0, 0].softmax(0).cpu()
            best = int(guess.argmax())
            row = [f"{sides[0]} {task.MARK} {sides[1]}", tokenizer.shown(int(y[0])), tokenizer.shown(best)]
            rows.append([*row, f"{float(guess[y[0]]):.3f}"])
        columns = [_("text"), _("left out"), _("guessed"), _("probability of the right word")]
        return Table(columns, rows, _("Words left out, and the guesses"))

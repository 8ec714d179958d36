"""What a case of the bench is: a run that is made on purpose, and the finding that a doctor must name first.

A family makes runs of one kind. Its fixed cases are those that developers may see; `drawn` is what an unseen case draws
its strength, network and data from, so that no threshold can be fitted to the fixed ones. A family is written from what
the fault is; nothing here knows how a check looks for it.
"""

import math
import tempfile
import warnings
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import gipi
from gipi.doctor import Finding
from gipi.errors import TrainingError

HIGHER = {"accuracy", "balanced_accuracy", "f1_macro", "r2", "return", "auc", "variety"}
WORST = {True: -math.inf, False: math.inf}


@dataclass
class Seen:
    """What came of a run.

    Attributes:
        findings: As the doctor ordered them.
        figure: The headline metric on test rows; None where a loop of a person's own has none.
        end: The better end of its 95 % interval; None: it has none.
        name: Of the metric.
        failed: Why it ended early, if it did.
    """

    findings: list[Finding]
    figure: float | None = None
    end: float | None = None
    name: str = ""
    failed: str = ""


@dataclass
class Fitted:
    """A run of `gipi.fit`.

    Attributes:
        data: What is given to it.
        options: The others of its arguments.
        metric: The headline, by which a remedy is judged; "": the figures of test rows flatter the fault (they hold
            copies, or the answer), so that an honest remedy makes them worse.
    """

    data: Any
    options: dict[str, Any]
    metric: str = "accuracy"

    def seen(self, seed: int, changes: Mapping[str, Any] | None = None) -> Seen:
        """Run it; `changes` are a remedy's."""
        options = {"seed": seed, "verdict": False, "quiet": True, "threads": 1, **self.options, **(changes or {})}
        with tempfile.TemporaryDirectory() as folder:
            try:
                run = gipi.fit(self.data, run=f"{folder}/run", **options)
            except TrainingError as error:
                from gipi.run import Run

                higher = self.metric in HIGHER
                return Seen(Run(f"{folder}/run").doctor(), WORST[higher], None, self.metric, str(error)[:200])
            name = self.metric or next(iter(run.metrics))
            figure = run.metrics[name]
            end = getattr(figure, "high" if name in HIGHER else "low", None)
            return Seen(run.doctor(), float(figure), end, name)


@dataclass
class Looped:
    """A plain loop of a person's own with `gipi.doctor.watch`; `play` trains and gives the findings."""

    play: Callable[[], Sequence[Finding]]

    def seen(self, seed: int, changes: Mapping[str, Any] | None = None) -> Seen:
        import torch

        assert not changes, "a loop has no options to change"
        torch.manual_seed(seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it says aloud what it will give
            return Seen([*self.play()])


Work = Fitted | Looped
Chance = np.random.Generator


@dataclass(frozen=True)
class Between:
    """A number that is drawn, evenly in its logarithm where it is `log`."""

    low: float
    high: float
    log: bool = False

    def draw(self, chance: Chance) -> float | int:
        if self.log:
            return float(np.exp(chance.uniform(np.log(self.low), np.log(self.high))))
        if isinstance(self.low, int) and isinstance(self.high, int):
            return int(chance.integers(self.low, self.high + 1))
        return float(chance.uniform(self.low, self.high))


@dataclass(frozen=True)
class Family:
    """Runs with one fault.

    Attributes:
        name: Of the family.
        faults: The finding that must be named; several only where they are names of one and the same fault. Empty: a
            healthy run.
        make: Data and network by chance, and by knobs.
        fixed: The knobs of each fixed case.
        drawn: What an unseen case draws each knob from: some values, or a range. Empty: a fixed one with other data.
        by_code: The mistake is in a person's own network, loss or loop, and no option can mend it; what its remedies do
            to the figure is counted apart.
    """

    name: str
    faults: tuple[str, ...]
    make: Callable[..., Work]
    fixed: Sequence[Mapping[str, Any]] = ({},)
    drawn: Mapping[str, Sequence[Any] | Between] = field(default_factory=dict)
    by_code: bool = False


@dataclass(frozen=True)
class Case:
    """One run of a family, and what its name is in tables."""

    name: str
    family: Family
    knobs: Mapping[str, Any]
    seed: int

    @property
    def faults(self) -> tuple[str, ...]:
        return self.family.faults

    def work(self, seed: int) -> Work:
        return self.family.make(np.random.default_rng([seed, zlib.crc32(self.name.encode())]), **self.knobs)

    def seen(self) -> Seen:
        """Make it, and run it."""
        return self.work(self.seed).seen(self.seed)


def fixed_cases(families: Sequence[Family], seed: int) -> list[Case]:
    """Each family's fixed cases; the seeds of a family differ."""
    found = []
    for family in families:
        for number, knobs in enumerate(family.fixed):
            found.append(Case(f"{family.name}-{number + 1}", family, knobs, seed + number))
    return found


def unseen_cases(families: Sequence[Family], seed: int, each: int = 2) -> list[Case]:
    """Cases whose strength, network and data are drawn."""
    found = []
    for family in families:
        chance = np.random.default_rng([seed, 8, zlib.crc32(family.name.encode())])
        for number in range(each if family.faults else 1):
            knobs = {
                name: one.draw(chance) if isinstance(one, Between) else one[int(chance.integers(len(one)))]
                for name, one in family.drawn.items()
            }
            knobs = knobs or family.fixed[int(chance.integers(len(family.fixed)))]
            seed_of = int(chance.integers(1000, 1_000_000))
            found.append(Case(f"unseen-{family.name}-{number + 1}", family, knobs, seed_of))
    return found

"""Fill: text in, a network that guesses words left out out; judged on text that it never saw. BERT's pre-training.

The weights are what other tasks begin with: `gipi fit reviews.csv --target sentiment --weights RUN`.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from gipi import systems
from gipi.algorithms.schedules import schedule
from gipi.data.corpus import open_corpus
from gipi.data.masking import EDGES, MaskedStream
from gipi.data.schema import Field, Schema, sizes
from gipi.errors import DataError, UsageError
from gipi.jobs import judge
from gipi.jobs.first_batch import check_network
from gipi.jobs.job import Job, Outcome, Setting, layers_of
from gipi.jobs.running import Parts, parts_of
from gipi.jobs.texts import context_for, tokenizer_for
from gipi.messages import _
from gipi.release.model import Model
from gipi.report.page import Table
from gipi.tasks import fill as task
from gipi.tasks.fill_baselines import fit_guessers
from gipi.tasks.summed import judge_sums
from gipi.training.member import Member, Plan, Progress

STEPS = (1000, 20_000)  # by default at least and at most: short texts are seen often
LOOKS = 20  # at validation in a run
LOOKED_AT = 64  # windows at each look
SHOWN = 12  # guesses in the report


class Fill(Job):
    """Running text or documents; see Job."""

    members = 1

    def __init__(self, source: Any, setting: Setting, progress: Any = None):
        options = setting.options
        self.setting = setting
        corpus = open_corpus(source, options.text, progress)
        self.name = corpus.name
        self.parts = Parts()

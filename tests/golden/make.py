"""Makes the golden bundles of a release: files that every later gipi must open, with the same answers.

    python -m tests.golden.make          writes tests/golden/VERSION/; what is there already is never written again

Beside each bundle stand rows that it was not kept with, and the answers to them, in answers.json.
"""

import json
import sys
from pathlib import Path

import torch

from gipi import __version__
from gipi.release.examples import packed, shortened
from gipi.release.keep import write_release
from tests.release.released import released, rows

HERE = Path(__file__).parent
CASES = (
    ("mlp classify table class", 1),
    ("mlp classify table labels", 3),
    ("mlp regress table normal", 3),
    ("tabm regress table number", 1),
    ("tabm regress table quantiles", 1),
    ("perceptron classify table class", 1),
    ("convnet classify picture class", 3),
    ("convnet regress picture normal", 1),
    ("airbench classify picture class", 1),
    ("autoencoder cluster table -", 1),
    ("autoencoder compress picture -", 1),
    ("autoencoder denoise picture -", 1),
    ("simclr embed picture -", 1),
    ("gan generate picture -", 3),
    ("unet segment picture -", 1),
    ("edsr upscale picture -", 1),
    ("dqn act environment -", 3),
)


def asked(model):
    """What is not among the examples in the file."""
    return 4 if model.task == "generate" else rows(model, seed=11)


def main() -> None:
    folder = HERE / __version__
    if folder.exists():
        sys.exit(f"{folder} is there already; the golden bundles of a release are written once")
    folder.mkdir()
    answers = {}
    for case, members in CASES:
        name = "-".join(case.replace(" -", "").split())
        write_release(released(case, members), folder / name)
        answers[name] = said(released(case, members))
    torch.manual_seed(5)
    own = released("mlp regress table number")
    own.system, own.config = "own", {}
    own.members = [torch.nn.Sequential(Narrow(own.sizes.input[0]), torch.nn.Tanh(), torch.nn.Linear(4, 2))]
    write_release(own, folder / "own")
    answers["own"] = said(own)
    (folder / "answers.json").write_text(json.dumps(answers) + "\n", encoding="utf-8")


class Narrow(torch.nn.Linear):
    """The numbers of a row without its codes."""

    def __init__(self, inputs: int):
        super().__init__(inputs, 4)

    def forward(self, x):
        return super().forward(x[:, : self.in_features])


def said(model):
    return {"rows": packed(asked(model)), "answers": packed(shortened(model.predict(asked(model))))}


if __name__ == "__main__":
    main()

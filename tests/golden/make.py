"""Makes the golden bundles of a release: files that every later gipi must open, with the same answers.

    python -m tests.golden.make          adds to tests/golden/VERSION/; what is there already is never written again

Beside each bundle stand rows that it was not kept with, and the answers to them, in answers.json.
"""

import json
from pathlib import Path

import torch

from gipi import __version__
from gipi.release.examples import packed, shortened
from gipi.release.keep import write_release
from gipi.training.checkpoint import write_atomically
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
    ("bow classify text class", 3),
    ("bow regress text number", 1),
    ("textcnn classify text labels", 1),
    ("lstm classify text class", 1),
    ("lstm classify text labels", 3),
    ("gpt write text -", 1),
    ("gpt chat text -", 1),
    ("bert fill text -", 1),
    ("bert tag text -", 1),
    ("seq2seq translate text -", 1),
    ("word2vec relate text -", 1),
)


def asked(model):
    """What is not among the examples in the file."""
    return 4 if model.task == "generate" else rows(model, seed=11)


def main() -> None:
    folder = HERE / __version__
    folder.mkdir(exist_ok=True)
    kept = folder / "answers.json"
    answers = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    for case, members in CASES:
        name = "-".join(case.replace(" -", "").split())
        if name not in answers:
            write_release(released(case, members), folder / name)
            answers[name] = said(released(case, members))
    if "own" not in answers:
        write_release(own(), folder / "own")
        answers["own"] = said(own())
    write_atomically(kept, (json.dumps(answers) + "\n").encode())


def own():
    """A model whose network is no system of gipi's."""
    torch.manual_seed(5)
    model = released("mlp regress table number")
    model.system, model.config = "own", {}
    model.members = [torch.nn.Sequential(Narrow(model.sizes.input[0]), torch.nn.Tanh(), torch.nn.Linear(4, 2))]
    return model


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

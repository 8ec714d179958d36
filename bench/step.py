"""What a step of a whole `gipi.fit` costs beside bare PyTorch and its peers: an MLP 20-64-2, batches of 32, Adam.

    python bench/step.py [--quick] [--turns 3] [--epochs 60] [--rows 4000] [--networks 16]

gipi has everything that a run has: its parts, shuffling, the log of each step, validation each epoch, checkpoints, test
scores, report and run folder. The peers train on as many rows without validation, logs and checkpoints, which would
cost them more, and their networks and compiled functions stay warm from turn to turn.
`networks`: so many of that kind in one `gipi.fit`, beside one product for all of them by hand; a step of each counts.
"""

import argparse
import tempfile
from collections.abc import Callable
from typing import Any

from turns import Bench, Figure, Turn, arguments, hold, timed

STEP_SIZE = 1e-3
BATCH = 32


def ours(networks: Callable[[argparse.Namespace], dict[str, int]] = lambda options: {}) -> Any:
    """A whole fit into a run folder; `networks` says how many of them, by folds or as an ensemble."""

    def make(options: argparse.Namespace) -> Turn:
        import control

        import gipi

        x, y = control.data(options.rows)
        several = networks(options)

        def fit(epochs: int) -> dict[str, float]:
            with tempfile.TemporaryDirectory() as folder:
                seconds, run = timed(
                    lambda: gipi.fit(
                        (x, y),
                        system="mlp",
                        hidden=(64,),
                        dropout=0.0,
                        optimizer="adam",
                        lr=STEP_SIZE,
                        weight_decay=0.0,
                        batch_size=BATCH,
                        epochs=epochs,
                        patience=0,
                        threads=options.threads,
                        device="cpu",
                        verdict=False,
                        quiet=True,
                        run=f"{folder}/run",
                        **several,
                    )
                )
                count = run.history[-1]["step"] * max([1, *several.values()])
                return {"time": seconds / count * 1e6, "training": run.record["seconds"]["training"] / count * 1e6}

        fit(1)
        return lambda: fit(options.epochs)

    return make


def own_loop(options: argparse.Namespace) -> Turn:
    """gipi's loop in a person's own hands: `for step, losses in gipi.training.fit(...)`."""
    import control

    from gipi.algorithms.optimizers import make
    from gipi.data.stream import Stream
    from gipi.losses import cross_entropy
    from gipi.training import fit
    from gipi.training.player import learner

    def train(x: Any, y: Any, epochs: int) -> None:
        players = learner(control.network(), cross_entropy, lambda params: make("adam", params, lr=STEP_SIZE))
        for _step, _losses in fit(players, Stream((x, y), BATCH, seed=0), epochs * len(x) // BATCH):
            pass

    return bare(train)(options)


# --- plain PyTorch


def bare(train: Callable[..., None], networks: Callable[[argparse.Namespace], int] | None = None) -> Any:
    """A loop of bench/control.py, by its name there or as it is."""

    def make(options: argparse.Namespace) -> Turn:
        import torch

        torch.set_num_threads(options.threads)
        x, y = train_part(options)
        count = (networks(options),) if networks else ()
        steps = len(x) // BATCH * (count[0] if count else 1)
        train(x, y, 1, *count)
        return lambda: {"time": timed(lambda: train(x, y, options.epochs, *count))[0] / steps / options.epochs * 1e6}

    return make


def in_control(name: str) -> Callable[..., None]:
    def train(*given: Any) -> None:
        import control

        getattr(control, name)(*given)

    return train


def train_part(options: argparse.Namespace) -> tuple[Any, Any]:
    """As many rows as gipi trains on: it sets a fifth aside for the test, and a fifth of the rest for validation."""
    import control

    x, y = control.data(options.rows)
    rows = options.rows * 16 // 25 // BATCH * BATCH
    return x[:rows], y[:rows]


# --- peers


def keras(options: argparse.Namespace) -> Turn:
    import keras

    x, y = (tensor.numpy() for tensor in train_part(options))
    layers = [keras.Input((20,)), keras.layers.Dense(64, activation="relu"), keras.layers.Dense(2)]
    model = keras.Sequential(layers)
    model.compile(
        optimizer=keras.optimizers.Adam(STEP_SIZE),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )

    def fit(epochs: int) -> dict[str, float]:
        seconds, _history = timed(lambda: model.fit(x, y, batch_size=BATCH, epochs=epochs, verbose=0))
        return {"time": seconds / epochs / (len(x) // BATCH) * 1e6}

    fit(1)
    return lambda: fit(options.epochs)


def lightning(options: argparse.Namespace) -> Turn:
    import control
    import lightning as L
    import torch
    import torch.nn.functional as F
    from torch.utils.data import DataLoader, TensorDataset

    torch.set_num_threads(options.threads)

    class Learner(L.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = control.network()

        def training_step(self, batch, _index):
            x, y = batch
            return F.cross_entropy(self.net(x), y)

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), lr=STEP_SIZE)

    x, y = train_part(options)

    def fit(epochs: int) -> dict[str, float]:
        trainer = L.Trainer(
            max_epochs=epochs,
            accelerator="cpu",
            devices=1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        batches = DataLoader(TensorDataset(x, y), batch_size=BATCH, shuffle=True)
        seconds, _none = timed(lambda: trainer.fit(Learner(), batches))
        return {"time": seconds / epochs / (len(x) // BATCH) * 1e6}

    fit(1)
    return lambda: fit(options.epochs)


def skorch(options: argparse.Namespace) -> Turn:
    import control
    import torch
    from skorch import NeuralNetClassifier

    torch.set_num_threads(options.threads)
    x, y = (tensor.numpy() for tensor in train_part(options))

    def fit(epochs: int) -> dict[str, float]:
        net = NeuralNetClassifier(
            control.network,
            criterion=torch.nn.CrossEntropyLoss,
            optimizer=torch.optim.Adam,
            lr=STEP_SIZE,
            batch_size=BATCH,
            max_epochs=epochs,
            iterator_train__shuffle=True,
            train_split=None,
            verbose=0,
        )
        seconds, _net = timed(lambda: net.fit(x, y))
        return {"time": seconds / epochs / (len(x) // BATCH) * 1e6}

    fit(1)
    return lambda: fit(options.epochs)


def scikit_learn(options: argparse.Namespace) -> Turn:
    import warnings

    from sklearn.neural_network import MLPClassifier

    warnings.simplefilter("ignore")  # it warns that the epochs it was given were not enough
    x, y = (tensor.numpy() for tensor in train_part(options))

    def fit(epochs: int) -> dict[str, float]:
        net = MLPClassifier(
            (64,), batch_size=BATCH, max_iter=epochs, learning_rate_init=STEP_SIZE, alpha=0.0, n_iter_no_change=epochs
        )
        seconds, _net = timed(lambda: net.fit(x, y))
        return {"time": seconds / net.n_iter_ / (len(x) // BATCH) * 1e6}

    fit(1)
    return lambda: fit(options.epochs)


CONTENDERS = {
    "raw control": bare(in_control("raw")),
    "gipi.fit": ours(),
    "gipi.training.fit": own_loop,
    "torch, fused, sliced": bare(in_control("sliced")),
    "torch, as it comes": bare(in_control("usual")),
    "torch, DataLoader": bare(in_control("loader")),
    "scikit-learn": scikit_learn,
    "skorch": skorch,
    "lightning": lightning,
    "keras-torch": keras,
    "keras-jax": keras,
    "raw control, stacked": bare(in_control("raw_stack"), lambda options: options.networks),
    "gipi.fit, ensemble": ours(lambda options: {"ensemble": options.networks}),
    "gipi.fit, folds": ours(lambda options: {"folds": options.networks}),
}
FIGURES = [
    Figure("gipi.fit", "raw control", most=1.35),
    Figure("torch, fused, sliced", "gipi.fit", least=1.6),
    Figure("torch, as it comes", "gipi.fit", least=2.5),
    Figure("torch, DataLoader", "gipi.fit"),
    Figure("scikit-learn", "gipi.fit"),
    Figure("skorch", "gipi.fit"),
    Figure("lightning", "gipi.fit", least=8),
    Figure("keras-torch", "gipi.fit", least=8),
    Figure("keras-jax", "gipi.fit", least=8),
    Figure("gipi.fit", "gipi.fit, ensemble"),
    Figure("gipi.fit, ensemble", "raw control, stacked"),
]

if __name__ == "__main__":
    sizes = {"epochs": (60, 2), "rows": (4000, 400), "networks": (16, 2)}
    given = arguments(__doc__, turns=3, threads=1, sizes=sizes)
    hold(Bench("step", CONTENDERS, FIGURES, "µs"), given)

"""How Keras, Lightning and skorch fit a network to arrays and score it, as their own documentation does it.

Each gets the same parts, trains so many epochs with Adam, looks at validation after each, and gives its score on the
test part: accuracy, or the root mean squared error. Loggers, checkpoints, progress bars and summaries are off.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

STEP_SIZE = 1e-3


class Parts(NamedTuple):
    """x and y of each part; y is a class, or a column (R, 1) of numbers."""

    train: tuple[np.ndarray, np.ndarray]
    valid: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray]

    @property
    def is_regression(self) -> bool:
        return self.train[1].ndim == 2


def score(output: np.ndarray, y: np.ndarray) -> float:
    """Accuracy, or the root mean squared error."""
    if y.ndim == 2:
        return float(np.sqrt(np.mean((output - y) ** 2)))
    return float(np.mean(output.argmax(1) == y))


def keras_score(layers: Sequence[Any], parts: Parts, batch: int, epochs: int) -> float:
    import keras

    model = keras.Sequential(list(layers))
    loss = "mse" if parts.is_regression else keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(
        optimizer=keras.optimizers.Adam(STEP_SIZE), loss=loss, metrics=[] if parts.is_regression else ["accuracy"]
    )
    model.fit(*parts.train, batch_size=batch, epochs=epochs, validation_data=parts.valid, verbose=0)
    return score(model.predict(parts.test[0], batch_size=batch, verbose=0), parts.test[1])


def lightning_score(net: Any, train: Any, valid: Any, test: Any, y: np.ndarray, batch: int, epochs: int) -> float:
    """Data sets of PyTorch go in; `y` are the test part's answers."""
    import lightning as L
    import torch
    import torch.nn.functional as F
    from torch.utils.data import DataLoader

    loss_of = F.mse_loss if y.ndim == 2 else F.cross_entropy

    class Learner(L.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = net

        def training_step(self, batch, _index):
            x, y = batch
            return loss_of(self.net(x), y)

        def validation_step(self, batch, _index):
            x, y = batch
            self.log("valid", loss_of(self.net(x), y))

        def predict_step(self, batch, _index):
            return self.net(batch[0])

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), lr=STEP_SIZE)

    trainer = L.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    learner = Learner()
    trainer.fit(learner, DataLoader(train, batch_size=batch, shuffle=True), DataLoader(valid, batch_size=batch))
    output = trainer.predict(learner, DataLoader(test, batch_size=batch))
    assert output is not None
    return score(torch.cat(output).numpy(), y)


def lightning_on_tensors(net: Any, parts: Parts, batch: int, epochs: int) -> float:
    import torch
    from torch.utils.data import TensorDataset

    sets = [TensorDataset(torch.from_numpy(x), torch.from_numpy(y)) for x, y in parts]
    return lightning_score(net, *sets, parts.test[1], batch, epochs)


def skorch_score(net: Any, parts: Parts, batch: int, epochs: int) -> float:
    import torch
    from skorch import NeuralNetClassifier, NeuralNetRegressor
    from skorch.dataset import Dataset
    from skorch.helper import predefined_split

    kind = NeuralNetRegressor if parts.is_regression else NeuralNetClassifier
    learner = kind(
        net,
        criterion=torch.nn.MSELoss if parts.is_regression else torch.nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=STEP_SIZE,
        batch_size=batch,
        max_epochs=epochs,
        iterator_train__shuffle=True,
        train_split=predefined_split(Dataset(*parts.valid)),
        verbose=0,
    )
    learner.fit(*parts.train)
    predicted = learner.predict(parts.test[0])
    if parts.is_regression:
        return score(predicted, parts.test[1])
    return float(np.mean(predicted == parts.test[1]))

"""Multi-layer perceptron: layers of sums and bends, each on the features that the one before has made.

Rumelhart, Hinton, Williams, "Learning representations by back-propagating errors", Nature 323, 1986; dropout from
Srivastava et al. 2014, batch normalisation from Ioffe and Szegedy 2015, maxout from Goodfellow et al. 2013.
Ours differs: AdamW instead of gradient descent with momentum, and initialisation by the activation (models/dense.py).

B rows, N features after categories are one-hot, K outputs
"""

from dataclasses import dataclass
from typing import Literal

from torch import nn

from gipi.algorithms.optimizers import from_config
from gipi.data.schema import Sizes
from gipi.models.dense import Expand, hidden_layer, linear
from gipi.training.player import learner

tasks = ("classify", "regress")
kinds = ("table", "picture")
defaults = {"epochs": 100, "batch_size": 32, "patience": 20}


@dataclass(frozen=True)
class Config:
    hidden: tuple[int, ...] = (128, 128)  # width of each hidden layer
    activation: str = "relu"  # sigmoid tanh relu leaky_relu prelu elu maxout gelu silu softplus
    dropout: float = 0.1  # share of hidden units that is switched off at each step
    norm: str = "none"  # none, batch or layer: normalisation after each hidden layer's sums
    optimizer: str = "adamw"  # sgd momentum nag adagrad adadelta rmsprop adam adamw muon lbfgs lars
    lr: float | Literal["auto"] | None = 2e-3  # step size, or auto; another optimizer brings its own
    momentum: float | None = None  # of sgd's relatives; each has its own if not given
    weight_decay: float = 0.01  # shrinks the weights at each step


class Net(nn.Sequential):
    """Hidden layers, each with its dropout, and one linear layer to the outputs."""

    def __init__(self, sizes: Sizes, config: Config):
        expand = Expand(sizes)
        layers: list[nn.Module] = [expand]
        width = expand.outputs
        for hidden in config.hidden:
            layers += [hidden_layer(width, hidden, config.activation, config.norm), nn.Dropout(config.dropout)]
            width = hidden
        super().__init__(*layers, linear(width, sizes.output))


def players(net: Net, config: Config, loss, schedule) -> dict:
    """One learner that wants the loss small."""

    return learner(net, loss, from_config(config, schedule))

"""Learning from weights that were loaded: the trunk stays as it is, or moves by smaller steps than the rest.

Step sizes that differ by layer: Howard & Ruder, "Universal Language Model Fine-tuning for Text Classification", 2018,
https://arxiv.org/abs/1801.06146, section 3.2. Ours differs: two groups, the trunk and the rest, and one factor between.
"""

from dataclasses import replace

from torch import nn

from gipi.algorithms.optimizers import FirstOrder
from gipi.errors import UsageError
from gipi.jobs.options import Fit
from gipi.messages import _
from gipi.training.player import Player, Plays


def check_trunk(options: Fit) -> None:
    """Refuse what only weights that are loaded can give a meaning to.

    Raises:
        UsageError: `--freeze` or `--trunk-lr` without `--weights`, or both.
    """
    said = "--freeze" if options.freeze else "--trunk-lr"
    if options.weights is None and (options.freeze or options.trunk_lr is not None):
        raise UsageError(_("{option} is for weights that are loaded; say which: --weights", option=said))
    if options.freeze and options.trunk_lr is not None:
        raise UsageError(_("--freeze and --trunk-lr exclude each other: what is frozen takes no steps"))


def check_frozen(players: dict[str, Plays], system: str) -> None:
    """Refuse players that do not leave alone what is frozen.

    Raises:
        UsageError: There is one.
    """
    for player in players.values():
        if not isinstance(player, Player) or not all(param.requires_grad for param in player.params):
            raise UsageError(
                _("{option} has no use for the system {name}; leave it out", option="--freeze", name=system)
            )


def paced(players: dict[str, Plays], net: nn.Module, names: frozenset[str], factor: float) -> dict[str, Plays]:
    """The players with the step size of these parameters multiplied by a factor.

    Raises:
        UsageError: An optimizer has no step size of its own for each parameter.
    """
    slow = {id(param) for name, param in net.named_parameters() if name in names}
    found: dict[str, Plays] = {}
    for name, player in players.items():
        optimizer = getattr(player, "optimizer", None)
        if not isinstance(player, Player) or not isinstance(optimizer, FirstOrder):
            what = type(optimizer or player).__name__
            raise UsageError(
                _("--trunk-lr is for gipi's optimizers that take gradients by steps, not for {what}", what=what)
            )
        factors = [factor if id(param) in slow else 1.0 for param in player.params]
        found[name] = replace(player, optimizer=optimizer.with_factors(factors))
    return found

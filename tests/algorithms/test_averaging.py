"""Averages of weights against their equations; swapping; and statistics that leave no trace in the random numbers."""

import numpy as np
import pytest
import torch
from torch import nn

from gipi.algorithms.averaging import AVERAGES, Average, has_statistics, refresh_statistics
from gipi.errors import UsageError


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 2)).double()


def wander(net, step):
    """Some change of everything that is learned or counted."""
    generator = torch.Generator().manual_seed(step)
    with torch.no_grad():
        for tensor in net.state_dict().values():
            if tensor.is_floating_point():
                tensor.add_(torch.randn(tensor.shape, generator=generator, dtype=tensor.dtype))
            else:
                tensor.add_(1)


def expected(kind, values, decay=0.9):
    if kind == "swa":
        return np.mean(values, axis=0)
    average = values[0]
    for n, value in enumerate(values[1:], 1):
        d = min(decay, n / (n + 9))
        average = d * average + (1 - d) * value
    return average


@pytest.mark.parametrize("kind", AVERAGES)
@pytest.mark.parametrize(("start", "every"), [(0, 1), (4, 1), (3, 5)])
def test_equals_its_equation(kind, start, every):
    net = network()
    average = Average(net, kind, decay=0.9, start=start, every=every)
    seen: dict[str, list] = {}
    for step in range(40):
        wander(net, step)
        average.update(step)
        if step >= start and (step - start) % every == 0:
            for name, tensor in net.state_dict().items():
                seen.setdefault(name, []).append(tensor.numpy().copy())
    for name, tensor in average.tensors().items():
        np.testing.assert_allclose(tensor.numpy(), expected(kind, np.array(seen[name])), rtol=1e-9, atol=1e-12)
    assert set(average.tensors()) == {n for n, t in net.state_dict().items() if t.is_floating_point()}


def test_before_the_start_it_is_the_live_network():
    net = network()
    average = Average(net, "swa", start=10)
    for step in range(3):
        wander(net, step)
        average.update(step)
    assert all(torch.equal(tensor, net.state_dict()[name]) for name, tensor in average.tensors().items())


def test_swapping_there_and_back_is_exact_even_after_an_error():
    net = network()
    average = Average(net, "ema")
    for step in range(5):
        wander(net, step)
        average.update(step)
    live = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    kept = {name: tensor.clone() for name, tensor in average.tensors().items()}
    with pytest.raises(KeyError), average.swapped():
        assert all(torch.equal(net.state_dict()[name], tensor) for name, tensor in kept.items())
        raise KeyError
    assert all(torch.equal(net.state_dict()[name], tensor) for name, tensor in live.items())
    assert all(torch.equal(average.tensors()[name], tensor) for name, tensor in kept.items())


def test_continues_to_the_bit():
    def go(net, average, first, last):
        for step in range(first, last):
            wander(net, step)
            average.update(step)

    net, other = network(), network()
    whole, part = Average(net, "ema", 0.95), Average(other, "ema", 0.95)
    go(net, whole, 0, 7)
    kept = {name: tensor.clone() for name, tensor in whole.tensors().items()}
    other.load_state_dict(net.state_dict())
    part.load(kept)
    go(net, whole, 7, 20)
    go(other, part, 7, 20)
    assert all(torch.equal(tensor, part.tensors()[name]) for name, tensor in whole.tensors().items())


def test_statistics_are_those_of_all_rows():
    net = network()
    assert has_statistics(net) and not has_statistics(nn.Linear(1, 1))
    wander(net, 0)
    x = torch.randn(50, 3, dtype=torch.float64)
    counter = net[1].num_batches_tracked.item()
    random = torch.random.get_rng_state()
    net[3].eval()
    refresh_statistics(net, [x[:30], x[30:]])
    hidden = net[0](x).detach()
    torch.testing.assert_close(net[1].running_mean, hidden.mean(0))
    variance = 0.6 * hidden[:30].var(0) + 0.4 * hidden[30:].var(0)
    torch.testing.assert_close(net[1].running_var, variance)
    assert torch.equal(torch.random.get_rng_state(), random)
    assert [part.training for part in net] == [True, True, True, False]
    assert net[1].momentum == 0.1 and net[1].num_batches_tracked.item() == counter


def test_an_unknown_average_is_said():
    with pytest.raises(UsageError, match="Did you mean 'ema'"):
        Average(network(), "emaa")

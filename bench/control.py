"""What the bare minimum costs, to measure by: an MLP 20-64-2 and Adam in straight-line PyTorch, nothing of gipi.

`raw` is the fastest that torch does eagerly, `raw_stack` the same for several networks at once; `sliced`, `usual` and
`loader` are what people write. Each trains a new network on the same rows for so many epochs.

N networks, R rows, B rows in a batch
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

BATCH = 32
STEP_SIZE = 1e-3


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 2))


def data(rows: int) -> tuple[Tensor, Tensor]:
    """Rows with two classes, x (R, 20) and y (R,)."""
    x = torch.randn(rows, 20, generator=torch.Generator().manual_seed(0))
    return x, (x[:, 0] * x[:, 1] + x[:, 2] > 0).long()


def raw(x: Tensor, y: Tensor, epochs: int) -> None:
    """Batches that lie ready, `autograd.grad`, and the raw fused kernel."""
    net = network()
    params = list(net.parameters())
    mean, square = [torch.zeros_like(p) for p in params], [torch.zeros_like(p) for p in params]
    count = torch.zeros(())
    counts = [count] * len(params)
    batches = list(zip(x.split(BATCH), y.split(BATCH), strict=True))
    for _epoch in range(epochs):
        for bx, by in batches:
            loss = F.cross_entropy(net(bx), by)
            gradients = torch.autograd.grad(loss, params)
            with torch.no_grad():
                count.add_(1)
                fused_adam(params, gradients, mean, square, counts)


def raw_stack(x: Tensor, y: Tensor, epochs: int, networks: int) -> None:
    """The same for several networks, each with an order of its own: their weights lie in one tensor for each layer."""
    params = [torch.randn(networks, 20, 64) / 20**0.5, torch.zeros(networks, 1, 64)]
    params += [torch.randn(networks, 64, 2) / 64**0.5, torch.zeros(networks, 1, 2)]
    params = [p.requires_grad_() for p in params]
    mean, square = [torch.zeros_like(p) for p in params], [torch.zeros_like(p) for p in params]
    count = torch.zeros(())
    counts = [count] * len(params)
    orders = torch.stack([torch.randperm(len(x)) for _network in range(networks)])  # (N, R)
    batches = [(x[part], y[part].flatten()) for part in orders.split(BATCH, 1)]  # (N, B, 20), (N B)
    for _epoch in range(epochs):
        for bx, by in batches:
            hidden = torch.baddbmm(params[1], bx, params[0]).relu()  # (N, B, 64)
            output = torch.baddbmm(params[3], hidden, params[2])  # (N, B, 2)
            loss = F.cross_entropy(output.flatten(0, 1), by) * networks  # the sum of the networks' own means
            gradients = torch.autograd.grad(loss, params)
            with torch.no_grad():
                count.add_(1)
                fused_adam(params, gradients, mean, square, counts)


def fused_adam(params, gradients, mean, square, counts) -> None:
    torch._fused_adam_(
        params,
        gradients,
        mean,
        square,
        [],
        counts,
        lr=STEP_SIZE,
        beta1=0.9,
        beta2=0.999,
        weight_decay=0.0,
        eps=1e-8,
        amsgrad=False,
        maximize=False,
    )


def sliced(x: Tensor, y: Tensor, epochs: int) -> None:
    """A plain loop at its best: torch.optim's fused Adam, batches that lie ready."""
    net = network()
    optimizer = torch.optim.Adam(net.parameters(), lr=STEP_SIZE, fused=True)
    batches = list(zip(x.split(BATCH), y.split(BATCH), strict=True))
    for _epoch in range(epochs):
        for bx, by in batches:
            optimizer.zero_grad()
            F.cross_entropy(net(bx), by).backward()
            optimizer.step()


def usual(x: Tensor, y: Tensor, epochs: int) -> None:
    """A plain loop as most are written without a DataLoader: torch.optim's Adam as it comes, shuffled by index."""
    net = network()
    optimizer = torch.optim.Adam(net.parameters(), lr=STEP_SIZE)
    criterion = nn.CrossEntropyLoss()
    for _epoch in range(epochs):
        for part in torch.randperm(len(x)).split(BATCH):
            optimizer.zero_grad()
            loss = criterion(net(x[part]), y[part])
            loss.backward()
            optimizer.step()


def loader(x: Tensor, y: Tensor, epochs: int) -> None:
    """A plain loop as the tutorials have it, with a DataLoader."""
    net = network()
    optimizer = torch.optim.Adam(net.parameters(), lr=STEP_SIZE)
    criterion = nn.CrossEntropyLoss()
    batches = DataLoader(TensorDataset(x, y), batch_size=BATCH, shuffle=True)
    for _epoch in range(epochs):
        for bx, by in batches:
            optimizer.zero_grad()
            loss = criterion(net(bx), by)
            loss.backward()
            optimizer.step()

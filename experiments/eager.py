"""Training steps of NAS-Bench-201's network in eager PyTorch, to compare jnas with.

PyTorch is no dependency of jnas: `step` asks for it, and `is_installed` says whether it is there.
The network is that of the benchmark's own code (AutoDL-Projects, `InferCell`): modules for the
operations that the architecture has, in NCHW.
"""

import importlib
import importlib.metadata
import importlib.util
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from jnas.spaces.nasbench201 import CONV1X1, CONV3X3, EDGES, NONE, SKIP


def is_installed() -> bool:
    """PyTorch can be imported."""
    return importlib.util.find_spec("torch") is not None


def version() -> str:
    """Version of PyTorch, without what it was built for."""
    return importlib.metadata.version("torch").partition("+")[0]


def step(
    arch: np.ndarray, images: np.ndarray, labels: np.ndarray, channels: int, cells: int
) -> Callable[[], float]:
    """Function that takes one step of SGD with momentum and answers its loss.

    Args:
        arch: `[6]` int32.
        images: `[N, H, W, 3]` float32.
        labels: `[N]` int, of ten classes.
        channels: of the first stage.
        cells: a stage.
    """
    # Not at the head of the file, for jnas runs without it.
    torch: Any = importlib.import_module("torch")
    # As many as jnas has: by default PyTorch may leave out the second threads of cores.
    torch.set_num_threads(os.cpu_count() or 1)
    modules, forward = _network(torch, [int(op) for op in arch], channels, cells)
    optimizer = torch.optim.SGD(
        modules.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4, nesterov=True
    )
    loss_of = torch.nn.CrossEntropyLoss()
    x = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
    y = torch.from_numpy(labels.astype(np.int64))

    def run() -> float:
        optimizer.zero_grad()
        loss = loss_of(forward(x), y)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return run


def _network(
    torch: Any, arch: list[int], channels: int, cells: int
) -> tuple[Any, Callable[[Any], Any]]:
    """All modules, and the logits `[N, 10]` of images `[N, 3, H, W]`."""
    nn, parts = torch.nn, []
    for stage in range(3):
        width = channels * 2**stage
        if stage:
            parts.append(_block(nn, width // 2))
        parts += [_cell(nn, arch, width) for _ in range(cells)]
    stem = nn.Sequential(nn.Conv2d(3, channels, 3, 1, 1, bias=False), nn.BatchNorm2d(channels))
    width = 4 * channels
    head = nn.Sequential(
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(width, 10),
    )
    modules = nn.ModuleList([stem, *(modules for modules, _ in parts), head])

    def forward(x: Any) -> Any:
        x = stem(x)
        for _, part in parts:
            x = part(x)
        return head(x)

    return modules.train(), forward


def _relu_conv_norm(nn: Any, c_in: int, c_out: int, size: int, stride: int = 1) -> Any:
    """Module of ReLU, convolution and batch norm."""
    conv = nn.Conv2d(c_in, c_out, size, stride, size // 2, bias=False)
    return nn.Sequential(nn.ReLU(), conv, nn.BatchNorm2d(c_out))


def _cell(nn: Any, arch: list[int], width: int) -> tuple[Any, Callable[[Any], Any]]:
    """Modules of one cell, and its output."""
    made = {
        CONV1X1: lambda: _relu_conv_norm(nn, width, width, 1),
        CONV3X3: lambda: _relu_conv_norm(nn, width, width, 3),
        SKIP: nn.Identity,
        NONE: nn.Identity,  # its zeros are made below
    }
    pool = lambda: nn.AvgPool2d(3, 1, 1, count_include_pad=False)  # noqa: E731
    edges = nn.ModuleList([made.get(op, pool)() for op in arch])

    def forward(x: Any) -> Any:
        nodes = [x]
        for node in range(1, 4):
            values = [
                nodes[start].mul(0.0) if arch[edge] == NONE else edges[edge](nodes[start])
                for edge, (start, end) in enumerate(EDGES)
                if end == node
            ]
            nodes.append(sum(values))
        return nodes[-1]

    return edges, forward


def _block(nn: Any, width: int) -> tuple[Any, Callable[[Any], Any]]:
    """Modules of the residual block that doubles `width`, and its output."""
    first, second = (
        _relu_conv_norm(nn, width, 2 * width, 3, 2),
        _relu_conv_norm(nn, 2 * width, 2 * width, 3),
    )
    shortcut = nn.Sequential(nn.AvgPool2d(2, 2), nn.Conv2d(width, 2 * width, 1, bias=False))
    return nn.ModuleList([first, second, shortcut]), lambda x: shortcut(x) + second(first(x))

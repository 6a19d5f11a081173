"""Sizes of networks: parameters and operations counted on their layers, milliseconds measured."""

from typing import Any, NamedTuple

import jax
import numpy as np

from jnas import networks
from jnas.commands.train.settings import Settings
from jnas.networks import export
from jnas.networks.export.description import apply
from jnas.types import Dataset, Network, Params


class Limits(NamedTuple):
    """Limits of the network that is trained; None is no limit."""

    params: int | None
    macs: float | None
    milliseconds: float | None

    @classmethod
    def of(cls, settings: Settings) -> "Limits":
        """Limits that the settings set."""
        return cls(settings.max_params, settings.max_flops, settings.max_latency_ms)

    def broken(self, size: "Size") -> str:
        """What of a size is over its limit, in words; "" where nothing is."""
        told = {
            "parameters": (size.params, self.params),
            "multiply-accumulates": (size.macs, self.macs),
            "milliseconds": (size.milliseconds, self.milliseconds),
        }
        over = [
            f"{value:,.6g} {name} are over the limit of {most:,.6g}"
            for name, (value, most) in told.items()
            if most is not None and value > most
        ]
        return "; ".join(over)


class Size(NamedTuple):
    """Size of a network: trainable numbers, multiply-accumulates of an image, and its latency.

    `milliseconds` is NaN where it was not measured.
    """

    params: int
    macs: int
    milliseconds: float = float("nan")


class Sizes:
    """Sizes of the architectures of a network, each counted once."""

    def __init__(self, network: Network, dataset: Dataset) -> None:
        """No weights are drawn: those of all architectures may be gigabytes."""
        self._network = network
        self._images = tuple(int(side) for side in dataset.train.x.shape[1:])
        # Sizes depend on shapes alone; one number, seen as an array, takes no memory.
        shapes = jax.eval_shape(network.init, jax.random.key(0))
        self._params: Params = jax.tree.map(lambda leaf: _ones(leaf.shape), shapes)
        self._statistics = [
            networks.Statistics(_ones(shape), _ones(shape))
            for shape in networks.statistics.shapes(self._params)
        ]
        self._known: dict[bytes, Size] = {}

    def of(self, arch: np.ndarray) -> Size:
        """Size of an architecture `[D]`, without what has no path to its output."""
        # By its bytes, for arrays cannot be hashed; in one type, for equal numbers of two types
        # differ.
        name = np.asarray(arch, np.int32).tobytes()
        if name not in self._known:
            plain = self._plain(arch)
            height, width, _ = self._images
            # Counted on the layers that are exported, and not by `space.flops`, which is of the
            # published network with its channels and cells.
            macs = export.num_macs(plain, (height, width))
            self._known[name] = Size(export.num_params(plain), macs)
        return self._known[name]

    def measured(self, arch: np.ndarray) -> Size:
        """Size of an architecture with the least milliseconds of some calls for one image."""
        size = self.of(arch)
        # Once: a second measurement would differ, and a network could break a limit that it has
        # kept.
        if np.isfinite(size.milliseconds):
            return size
        plain, image = _drawn(self._plain(arch)), np.zeros((1, *self._images), np.float32)
        program = jax.jit(lambda x: apply(plain, x))
        size = size._replace(milliseconds=export.milliseconds(program, image))
        self._known[np.asarray(arch, np.int32).tobytes()] = size
        return size

    def _plain(self, arch: np.ndarray) -> export.Plain:
        """Layers of an architecture, whose weights are all 1."""
        return export.describe(self._network, arch, self._params, self._statistics)


def _ones(shape: tuple[int, ...]) -> Any:
    """Array `shape` of float32, all of whose elements are one number in memory."""
    return np.broadcast_to(np.float32(1), shape)


def _drawn(plain: export.Plain) -> export.Plain:
    """Layers with weights at random: a compiler might make less work of ones."""
    rng = np.random.default_rng(0)

    def filled(array: np.ndarray) -> Any:
        # Positive, for there are variances among them; small, for many layers follow each other.
        return np.float32(rng.uniform(0.5, 1.5, array.shape) / array.shape[-1])

    blocks = [
        block._replace(
            steps=tuple(
                step._replace(weights={name: filled(x) for name, x in step.weights.items()})
                for step in block.steps
            )
        )
        for block in plain.blocks
    ]
    return plain._replace(blocks=tuple(blocks))

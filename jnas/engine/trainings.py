"""Trainings as one program, in blocks of epochs that are evaluated and survive a kill.

Trainings are an axis, epochs a `scan`, a block of epochs one compiled program. The result of a
training depends on its job alone: not on the others, on devices or on where blocks end.
"""

import functools
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jnas.engine.checkpoints import Checkpoint
from jnas.engine.devices import Batching, each, spread
from jnas.engine.fingerprints import Resume, fingerprint
from jnas.engine.inputs import is_key
from jnas.engine.progress import reporting
from jnas.types import Trainer


class Run(NamedTuple):
    """Results of `S` finished trainings.

    Attributes:
        results: of `Trainer.result`, each array with a leading axis `S`.
        losses: `[S, epochs]`.
        metrics: name → `[S, len(epochs)]`.
        epochs: after which the metrics were taken.
        kept: what stands for the job in its checkpoint (see `Checkpoint.kept`); empty without one.
    """

    results: Any
    losses: np.ndarray
    metrics: dict[str, np.ndarray]
    epochs: tuple[int, ...]
    kept: dict[str, Any]


class Block(NamedTuple):
    """Block of `K` epochs: `[K]` int32 numbers from 1, `[K]` bool whether to train and evaluate."""

    numbers: jax.Array
    train: jax.Array
    evaluate: jax.Array


def train(
    trainer: Trainer,
    jobs: Any,
    shared: Any = (),
    *,
    epochs: Iterable[int] = (),
    batching: Batching | None = None,
    num_blocks: int = 10,
    checkpoint: str | Path | None = None,
    resume: Resume = True,
    progress: bool = False,
) -> Run:
    """Results of `S` trainings.

    Args:
        trainer: equal trainers share their compiled programs, so make one and keep it.
        jobs: a pytree of arrays with a leading axis `S`.
        shared: a pytree of arrays.
        epochs: after which epochs to evaluate.
        batching: side by side ("vmap"), or one after the other on each device ("map"); None takes
            what is faster: "map" on a CPU, whose caches hold one training, else "vmap".
        num_blocks: between which progress is shown and checkpoints are kept; at most one an epoch.
        checkpoint: folder that the trainings are kept in after each block, and go on from.
        resume: False starts anew; "anyway" goes on although jnas or jax have changed.
        progress: show a bar with the mean of the last losses on standard error.

    Returns:
        A `Run`.

    Raises:
        ValueError: an epoch that there is not; the checkpoint holds another job, or one that other
            code has begun.
    """
    measured = _checked(trainer, epochs)
    how: Batching = batching or ("map" if jax.default_backend() == "cpu" else "vmap")
    # Equal blocks, so that all of them run one compiled program.
    size = math.ceil(trainer.num_epochs / num_blocks)
    about = functools.partial(fingerprint, "train", trainer, jobs, shared, measured, size)
    kept = Checkpoint(checkpoint, about, resume)
    work = _Work(trainer, how, jobs, shared, kept, size)
    blocks = _blocks(trainer.num_epochs, measured, size)
    options: dict[str, Any] = {"done": work.num_epochs, "shown": progress, "kept": kept.folder}
    with reporting("training", trainer.num_epochs, unit="epochs", **options) as report:
        for block in blocks[work.num_blocks :]:
            work.add(block)
            report(work.num_epochs, work.last_loss)
    return work.finished(measured)


def _checked(trainer: Trainer, epochs: Iterable[int]) -> tuple[int, ...]:
    """Epochs to evaluate in order, each once; ValueError if one does not exist."""
    measured = tuple(sorted(set(epochs)))
    if measured and not 1 <= measured[0] <= measured[-1] <= trainer.num_epochs:
        raise ValueError(f"epochs to evaluate must be in 1 … {trainer.num_epochs}; got {measured}")
    if measured and trainer.evaluate is None:
        raise ValueError("this trainer has nothing to evaluate; leave `epochs` empty")
    return measured


def _blocks(num_epochs: int, measured: tuple[int, ...], size: int) -> list[Block]:
    """Blocks of `size` epochs; those behind the last one are skipped."""
    result = []
    for begin in range(0, num_epochs, size):
        numbers = np.arange(begin + 1, begin + size + 1, dtype=np.int32)
        flags = numbers <= num_epochs, np.isin(numbers, measured)
        result.append(Block(jnp.asarray(numbers), *(jnp.asarray(flag) for flag in flags)))
    return result


# Kept by trainer: a new function would be compiled anew, however equal it is.
@functools.lru_cache(maxsize=128)
def _start(trainer: Trainer, batching: Batching) -> Any:
    """Program `(jobs, shared) -> states`."""
    return spread(each(trainer.init, batching))


@functools.lru_cache(maxsize=128)
def _advance(trainer: Trainer, batching: Batching) -> Any:
    """Program `((jobs, states), block, shared) -> (states, losses [S, K], {name: [S, K]})`."""
    return spread(each(functools.partial(run_block, trainer), batching))


@functools.lru_cache(maxsize=128)
def _results(trainer: Trainer) -> Any:
    """Program `states -> results`."""
    return jax.jit(jax.vmap(trainer.result))


def run_block(trainer: Trainer, row: tuple[Any, Any], block: Block, shared: Any) -> Any:
    """State, losses and metrics of one training after a block of epochs.

    Args:
        trainer: of the training.
        row: its job and its state.
        block: `K` epochs.
        shared: what all trainings see.

    Returns:
        The state, losses `[K]`, and metrics by name `[K]`, NaN where not asked for.
    """
    job, state = row
    if trainer.prepare is not None:
        job = trainer.prepare(job, shared)
    no_loss = jnp.full((), jnp.nan)

    def step(state: Any, epoch: Block) -> tuple[Any, tuple[jax.Array, dict[str, jax.Array]]]:
        def one(state: Any) -> tuple[Any, jax.Array]:
            return trainer.epoch(job, epoch.numbers, state, shared)

        def measure(state: Any) -> dict[str, jax.Array]:
            assert trainer.evaluate is not None
            return trainer.evaluate(job, epoch.numbers, state, shared)

        # The flags are the same for all trainings, so a `cond` skips even under `vmap`.
        state, loss = lax.cond(epoch.train, one, lambda state: (state, no_loss), state)
        if trainer.evaluate is None:
            return state, (loss, {})
        nothing = jax.tree.map(
            lambda x: jnp.full(x.shape, jnp.nan, x.dtype), jax.eval_shape(measure, state)
        )
        return state, (loss, lax.cond(epoch.evaluate, measure, lambda _: nothing, state))

    state, (losses, metrics) = lax.scan(step, state, block)
    return state, losses, metrics


class _Work:
    """Trainings on their way: states, losses and metrics, and the checkpoint they are kept in."""

    def __init__(
        self,
        trainer: Trainer,
        batching: Batching,
        jobs: Any,
        shared: Any,
        checkpoint: Checkpoint,
        size: int,
    ) -> None:
        """Initial states, or those of the checkpoint; `size` epochs are a block."""
        self.trainer, self._jobs, self._shared, self._size = trainer, jobs, shared, size
        self._advance = _advance(trainer, batching)
        self._checkpoint = checkpoint
        self.losses: list[np.ndarray] = []
        self.metrics: dict[str, list[np.ndarray]] = {}
        start = functools.partial(_start(trainer, batching), jobs, shared)
        # Not `start`, which joins its parts on the host: this one is only traced, for the shapes.
        init = jax.vmap(trainer.init, (0, None))
        found = checkpoint.restore(lambda _: init(jobs, shared))
        self.state = start() if found is None else found[0]
        if found is not None:
            # Exact, for JSON has all the digits of the float64 that equals each float32.
            self.losses = [np.asarray(x, np.float32) for x in found[1]["losses"]]
            told = found[1]["metrics"].items()
            self.metrics = {k: [np.asarray(x, np.float32) for x in blocks] for k, blocks in told}

    @property
    def num_blocks(self) -> int:
        """Number of blocks that are done."""
        return len(self.losses)

    @property
    def num_epochs(self) -> int:
        """Number of epochs that are done."""
        total = self.trainer.num_epochs
        return min(total, self.num_blocks * self._size)

    @property
    def last_loss(self) -> str:
        """Note for the bar: the mean loss of the last epoch that was trained."""
        # The last block may end with epochs that were skipped, whose losses are NaN.
        losses = self.losses[-1][:, np.isfinite(self.losses[-1]).all(axis=0)]
        return f"loss {losses[:, -1].mean():.4g}" if losses.size else ""

    def add(self, block: Block) -> None:
        """Train for a block, and keep what it has come to."""
        state, losses, metrics = self._advance((self._jobs, self.state), block, self._shared)
        self.state = state
        self.losses.append(np.asarray(losses))
        for name, values in metrics.items():
            self.metrics.setdefault(name, []).append(np.asarray(values))
        about = {
            "losses": [x.tolist() for x in self.losses],
            "metrics": {k: [x.tolist() for x in blocks] for k, blocks in self.metrics.items()},
        }
        self._checkpoint.save(self.num_blocks, self.state, about)

    def finished(self, measured: tuple[int, ...]) -> Run:
        """Run with all that was trained, metrics only of the epochs `measured`."""
        places = np.asarray(measured, int) - 1
        # Rows that stay on several devices would make all that is computed from them a program of
        # these devices, with other rounding; and what is put on one device can only be used there.
        results = jax.tree.map(_off_devices, _results(self.trainer)(self.state))
        return Run(
            results=results,
            losses=np.concatenate(self.losses, axis=1)[:, : self.trainer.num_epochs],
            metrics={k: np.concatenate(v, axis=1)[:, places] for k, v in self.metrics.items()},
            epochs=measured,
            kept=self._checkpoint.kept,
        )


def _off_devices(leaf: jax.Array) -> jax.Array:
    """An array by way of the host, which programs may put where they run."""
    return leaf if is_key(leaf) else jnp.asarray(np.asarray(leaf))

"""Seeds of one function: many of them as one compiled program, spread over the devices."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jnas import _renamed
from jnas.engine.checkpoints import Checkpoint
from jnas.engine.devices import Batching, each, num_parts, spread
from jnas.engine.fingerprints import Resume, fingerprint
from jnas.engine.inputs import as_estimator
from jnas.engine.progress import reporting
from jnas.types import Key

_NUM_BLOCKS = 10  # of seeds side by side, where finished ones are to be kept
_SAVE_SHARE = 0.05  # at most this share of the time goes into writing a checkpoint
_QUICK = 10.0  # seconds; what takes less is not worth keeping


@_renamed.arguments(values={True: "vmap", False: "map"}, together="batching")
def run(
    function: Callable[..., Any],
    keys: Key,
    *arguments: Any,
    batching: Batching = "vmap",
    progress: bool = False,
    label: str = "running",
    checkpoint: str | Path | None = None,
    resume: Resume = True,
) -> Any:
    """Results of `function(key, *arguments)` for every key, as NumPy arrays `[S, ...]`.

    Those of a key do not depend on the other keys or on the devices.

    Args:
        function: pure; traced once.
        keys: `[S]`.
        arguments: pytrees of arrays, the same for every key.
        batching: "vmap" computes keys side by side; "map" one a device after the other, which suits
            functions whose branches are costly (see `devices.each`).
        progress: show a bar on standard error.
        label: what the bar is of.
        checkpoint: folder that finished seeds are kept in once the job has taken some seconds, and
            that a job which was killed goes on from.
        resume: False starts anew; "anyway" goes on although jnas or jax have changed.

    Raises:
        ValueError: the checkpoint holds another job, or one that other code has begun.
    """
    num = len(keys)
    arguments = tuple(as_estimator(x) if callable(x) else x for x in arguments)
    job = _Job(function, keys, arguments, batching, checkpoint, resume)
    size = _block_size(num, batching, checkpoint is not None)
    program = spread(each(function, batching))
    job.begin(lambda: jax.eval_shape(function, keys[0], *arguments))
    options: dict[str, Any] = {"done": job.num_done, "shown": progress, "kept": job.kept_in}
    with reporting(label, num, **options) as report:
        try:
            while job.num_done < num:
                # The last block is filled up with a key that was there before.
                rows = np.minimum(np.arange(job.num_done, job.num_done + size), num - 1)
                job.add(jax.tree.map(np.asarray, program(keys[rows], *arguments)))
                report(job.num_done)
        except KeyboardInterrupt:
            job.save()  # here too, for blocks since the last save would be lost
            raise
    return job.results


def _block_size(num: int, batching: Batching, in_blocks: bool) -> int:
    """Number of seeds between two checkpoints, a multiple of the parts on the devices."""
    # The same for all blocks, the last one included: another would be a program to compile.
    parts = num_parts(num)
    if batching == "map":
        return parts
    num_blocks = min(_NUM_BLOCKS, num) if in_blocks else 1
    return -(-num // (num_blocks * parts)) * parts


class _Job:
    """Job of many seeds: those that are finished, and the folder they are kept in."""

    def __init__(
        self,
        function: Callable[..., Any],
        keys: Key,
        arguments: tuple[Any, ...],
        batching: Batching,
        folder: str | Path | None,
        resume: Resume,
    ) -> None:
        self._checkpoint = Checkpoint(
            folder, lambda: fingerprint("seeds", function, keys, arguments, batching), resume
        )
        self._num = len(keys)
        self.num_done, self._num_saved = 0, 0
        self.results: Any = None
        # As if a save had just taken so long: `add` saves for the first time after `_QUICK`.
        self._saved_at, self._save_seconds = time.monotonic(), _SAVE_SHARE * _QUICK

    @property
    def kept_in(self) -> Path | None:
        """Folder of the checkpoint, if any."""
        return self._checkpoint.folder

    def begin(self, shape: Callable[[], Any]) -> None:
        """Take over the seeds of the checkpoint; `shape` is of the result of one."""

        def like(about: dict[str, Any]) -> Any:
            num = about["num_done"]
            return jax.tree.map(lambda x: np.zeros((num, *x.shape), x.dtype), shape())

        found = self._checkpoint.restore(like)
        if found is not None:
            self._take(found[0], found[1]["num_done"])
            self._num_saved = self.num_done

    def add(self, block: Any) -> None:
        """Take over the results of the next seeds, and save if that is cheap by now."""
        self._take(block, min(len(jax.tree.leaves(block)[0]), self._num - self.num_done))
        if (time.monotonic() - self._saved_at) * _SAVE_SHARE >= self._save_seconds:
            self.save()

    def _take(self, block: Any, num: int) -> None:
        """Copy `num` rows of a block behind the finished ones."""
        # Made with the first block: only results tell shapes and types.
        if self.results is None:
            self.results = jax.tree.map(
                lambda x: np.zeros((self._num, *x.shape[1:]), x.dtype), block
            )
        for whole, part in zip(jax.tree.leaves(self.results), jax.tree.leaves(block), strict=True):
            whole[self.num_done : self.num_done + num] = part[:num]
        self.num_done += num

    def save(self) -> None:
        """Keep the finished seeds."""
        if self.kept_in is None or self.num_done == self._num_saved:
            return
        start = time.monotonic()
        finished = jax.tree.map(lambda leaf: leaf[: self.num_done], self.results)
        self._checkpoint.save(self.num_done, finished, {"num_done": self.num_done})
        self._num_saved, self._saved_at = self.num_done, time.monotonic()
        self._save_seconds = self._saved_at - start

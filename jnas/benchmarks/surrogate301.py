"""Surrogate of NAS-Bench-301: what a network predicts of DARTS cells after any number of epochs.

Zela et al., "Surrogate NAS Benchmarks: Going Beyond the Limited Search Spaces of Tabular NAS
Benchmarks", ICLR 2022, https://arxiv.org/abs/2008.09777, published some 60,000 trainings. The
network was fitted to them by the authors of YAHPO Gym (Pfisterer et al., AutoML 2022,
https://arxiv.org/abs/2109.03670); here it is a pure function, whose weights are read from a file.
"""

import dataclasses
import os
import textwrap
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

from jnas import _shown, spaces
from jnas.benchmarks import _network301
from jnas.benchmarks._network301 import Weights
from jnas.benchmarks.named import data_file
from jnas.engine import readers
from jnas.engine.estimators import estimator
from jnas.engine.inputs import as_archs
from jnas.types import Arch, Estimator, Key, Objective, Outcome, Query, Space

MAX_EPOCHS = 98
"""Epochs of a whole training."""
FILE = "nasbench301_net"
"""File of the network in the folder of tables, without suffix."""
ABOUT = (
    "Predictions of a network that was fitted to trainings, and no trainings. Against the official "
    "surrogate on 1,218 cells: Spearman .90, and 1.3 points too high throughout; against 214 real "
    "trainings: Spearman .52. Few epochs rank too much like many (Spearman of 1 with 98: .81; of "
    "trainings .3 to .5), so that methods of several fidelities cannot be judged by it."
)
_BLOCK = 1000  # architectures side by side, whose layers stay in the cache of a CPU


class Prediction(NamedTuple):
    """Predictions for `B` architectures; NaN for what is no architecture.

    Attributes:
        accuracy: `[B]` float32, validation accuracy in % on CIFAR-10.
        seconds: `[B]` float32, of the training until then.
    """

    accuracy: jax.Array
    seconds: jax.Array


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Surrogate:
    """Surrogate of trainings of DARTS cells; `nasbench301_surrogate` reads it.

    Attributes:
        space: whose architectures it takes.
        weights: of the network.
        source: where they come from.
        about: what to know before its numbers are used.
    """

    space: Space
    weights: Weights
    source: str
    about: str = ABOUT

    def __repr__(self) -> str:
        lines = textwrap.wrap(self.about, 98, initial_indent="  ", subsequent_indent="  ")
        return "\n".join([f"Surrogate of {self.space.name}, {self.source}", *lines])

    def predict(self, archs: jax.Array, epochs: ArrayLike = MAX_EPOCHS) -> Prediction:
        """`Prediction` for architectures; pure.

        A learning curve is `jax.vmap(surrogate.predict, (None, 0))(archs, jnp.arange(1, 99))`.

        Args:
            archs: `[B, D]` int32.
            epochs: `[]`, 1 to 98; beyond that it is an extrapolation, and seconds of less than 8
                are wrong, of which `objective` makes no use.
        """
        predicted: Prediction = predict(self.weights, jnp.asarray(epochs), archs)
        return predicted

    def estimator(self, epochs: int = MAX_EPOCHS) -> Estimator:
        """`Estimator`: predicted validation accuracies in % after so many epochs.

        Raises:
            ValueError: `epochs` is not in 1 … 98.
        """
        if not 1 <= epochs <= MAX_EPOCHS:
            raise ValueError(f"epochs must be in 1 … {MAX_EPOCHS}; got {epochs}")
        shown = f"Estimator by the surrogate of {self.space.name}, {self.source}, epoch {epochs}"
        return estimator(shown, estimate, self.weights, jnp.asarray(epochs))

    def objective(self) -> Objective:
        """`Objective` of any number of epochs from 1 to 98; 0 stands for 98.

        Scores are predicted validation accuracies in %. A training of `e` epochs costs `e / 98` of
        the seconds that the whole one is predicted to take. A failure (no architecture, the wrong
        epochs) has score NaN and cost 0.
        """
        return Predicted(self.weights)


def nasbench301_surrogate(path: str | os.PathLike[str] | None = None) -> Surrogate:
    """`Surrogate` of NAS-Bench-301: accuracy and seconds of any cell after 1 to 98 epochs.

        surrogate = jnas.benchmarks.nasbench301_surrogate()
        surrogate.estimator()(key, archs)  # as any other estimator
        jnas.search.run(searcher, surrogate.objective(), key, num_evaluations=500)

    These are predictions, and to be called so wherever they are reported; `Surrogate.about` says
    how good they are. Zela et al. trained networks of 8 cells on CIFAR-10.

    Args:
        path: the file; by default `nasbench301_net.npz` in the folder that `JNAS_DATA` names.

    Raises:
        FileNotFoundError: the file is absent; the message says where to put it.
        ValueError: it does not hold such a network.
    """
    file = data_file(FILE, path, "surrogate")
    with readers.arrays(file) as arrays:
        weights = _network301.weights(arrays)
    return Surrogate(spaces.nasbench301(), weights, file.name)


# --------------------------------------------------------------------------------------------------
# Inside programs. Of this module and not of `Surrogate`: a `Partial` of a local function would be
# another pytree at every call, and compile again.


@jax.jit
def predict(weights: Weights, epochs: jax.Array, archs: jax.Array) -> Prediction:
    """`Prediction` for `archs` `[B, D]` after `epochs` `[]` or `[B]`."""
    space = spaces.nasbench301()

    def one(asked: tuple[Arch, jax.Array]) -> Prediction:
        arch, number = asked
        edges = space.graph(arch).edge_ops[:, 0]
        said = _network301.outputs(weights, edges, space.edge_operations, number)
        return Prediction(*(jnp.where(space.is_valid(arch), value, jnp.nan) for value in said))

    archs = as_archs(archs)
    predicted: Prediction = lax.map(
        one, (archs, jnp.broadcast_to(epochs, len(archs))), batch_size=_BLOCK
    )
    return predicted


def estimate(weights: Weights, epochs: jax.Array, key: Key, archs: jax.Array) -> jax.Array:
    """`[B]` float32, accuracies in % of `archs` `[B, D]`; NaN for what is none."""
    del key
    accuracy: jax.Array = predict(weights, epochs, archs).accuracy
    return accuracy


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False)
class Predicted:
    """Objective of a surrogate, a pytree: two of them share one compiled program.

    Attributes:
        weights: of the network.
    """

    weights: Weights

    def __repr__(self) -> str:
        return _shown.lines("Objective of a surrogate", f"with {_shown.arrays(self.weights)}")

    @property
    def epochs(self) -> tuple[int, ...]:
        """Numbers of epochs that it answers for."""
        return tuple(range(1, MAX_EPOCHS + 1))

    def __call__(self, key: Key, query: Query, /) -> Outcome:
        """`Outcome` of a query; see `Surrogate.objective`."""
        del key
        asked = jnp.where(query.epochs == 0, MAX_EPOCHS, query.epochs)
        scores = predict(self.weights, asked, query.archs).accuracy
        # Predicted seconds of a few epochs are wrong. The network is asked twice: one program for
        # both numbers takes as long, for nearly all of it are products that see the epochs.
        whole = predict(self.weights, jnp.asarray(MAX_EPOCHS), query.archs).seconds
        answered = (asked >= 1) & (asked <= MAX_EPOCHS) & jnp.isfinite(scores)
        share = asked.astype(jnp.float32) / MAX_EPOCHS
        return Outcome(jnp.where(answered, scores, jnp.nan), jnp.where(answered, whole * share, 0))

"""Settings of a training, and the named losses of the papers on what a network puts out."""

import dataclasses
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import optax

from jnas import losses
from jnas.engine.messages import nearest
from jnas.predictors.layers import Output
from jnas.types import Key

LossName = Literal[
    "hinge",
    "logistic",
    "exponential",
    "mse",
    "l1",
    "smooth_l1",
    "list_mle",
    "classification",
    "comparator",
    "renas",
]
Scaling = Literal["none", "minmax", "standard"]


@dataclasses.dataclass(frozen=True)
class Training:
    """Settings of a training; defaults are those of GATES (ECCV 2020) on NAS-Bench-101.

    Attributes:
        loss: "hinge", "logistic" (pairwise cross entropy) and "exponential" compare sampled pairs;
            "mse", "l1" and "smooth_l1" regress; "list_mle" ranks lists; "classification" asks for
            "accuracy above `threshold`"; "comparator" trains a head on two architectures, by `phi`;
            "renas" is pairs and triplets.
        phi: the penalty of "comparator" and "renas": "hinge", "logistic" or "exponential".
        margin: of hinges, in units of scores.
        max_ratio: at most so many pairs for each architecture of a minibatch; None takes all pairs.
        list_length: of "list_mle".
        continuity: λ, the weight of the triplets of "renas".
        num_triplets: sampled in a minibatch.
        threshold: in the unit of the targets.
        scaling: of the targets: "minmax" to 0 … 1, "standard" to mean 0 and variance 1. Scores of a
            regression are put back into the unit of the targets.
        epochs, batch_size: of the training; the last minibatch of an epoch may be smaller.
        learning_rate, weight_decay: of Adam; PyTorch's way, the decay is added to the gradient.
        schedule: of the learning rate: "constant", or "cosine" from the first epoch to 0.
        warmup: epochs in which a factor of the learning rate grows linearly to 1; 0 is none.
        average_from: share of the epochs after which weights are averaged; 1 is no averaging.
    """

    loss: LossName = "hinge"
    phi: Literal["hinge", "logistic", "exponential"] = "hinge"
    margin: float = 0.1
    max_ratio: float | None = 4.0
    list_length: int = 8
    continuity: float = 0.0
    num_triplets: int = 2048
    threshold: float = 0.9
    scaling: Scaling = "none"
    epochs: int = 200
    batch_size: int = 512
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    schedule: Literal["constant", "cosine"] = "constant"
    warmup: int = 0
    average_from: float = 1.0

    def __post_init__(self) -> None:
        """Check of the settings; ValueError names the one that is wrong and what is allowed."""
        allowed = {"loss": get_args(LossName), "scaling": get_args(Scaling)}
        allowed |= {"phi": tuple(_PHI), "schedule": ("constant", "cosine")}
        for name, names in allowed.items():
            if getattr(self, name) not in names:
                raise ValueError(
                    f"unknown {name} {getattr(self, name)!r}. "
                    f"{nearest(str(getattr(self, name)), names)}"
                )
        for name, least in (
            ("epochs", 1),
            # Minibatches and lists of one have nothing to compare.
            ("batch_size", 2),
            ("list_length", 2),
            ("num_triplets", 1),
            ("warmup", 0),
        ):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}; got {getattr(self, name)}")
        if self.learning_rate <= 0 or self.weight_decay < 0 or not 0 <= self.average_from <= 1:
            raise ValueError(
                "learning_rate must be positive, weight_decay not negative and average_from in "
                "0 … 1; got "
                f"{self.learning_rate}, {self.weight_decay} and {self.average_from}"
            )

        # Only scores of a regression are put back into the unit of the targets.
        if self.scaling != "none" and not self.regresses:
            raise ValueError(
                f"scaling is for regressions; got {self.scaling!r} with loss {self.loss!r}"
            )

    @property
    def regresses(self) -> bool:
        """True where scores estimate the targets themselves."""
        return self.loss in ("mse", "l1", "smooth_l1")


class Batch(NamedTuple):
    """Batch that a loss is taken of: outputs, targets, and the two functions of a comparator.

    Attributes:
        output: of the network.
        targets: `[B]`, scaled.
        where: `[B]` bool, False for padding.
        project: embeddings `[B, F]` to their contributions as first and as second of a pair.
        compare: these of the two of each pair, to `[M]`; positive where the second is better.
    """

    output: Output
    targets: jax.Array
    where: jax.Array
    project: Callable[[jax.Array], tuple[jax.Array, jax.Array]]
    compare: Callable[[jax.Array, jax.Array], jax.Array]


_PHI: dict[str, Callable[[float], losses.Phi]] = {
    "hinge": lambda margin: losses.hinge(margin=margin),
    "logistic": lambda _: losses.logistic(),
    "exponential": lambda _: losses.exponential(),
}


def loss_of(training: Training, key: Key, batch: Batch) -> jax.Array:
    """Loss `[]` of a minibatch, by the name in `training`."""
    scores = batch.output.scores
    name, where, targets = training.loss, batch.where, batch.targets
    if name == "mse":
        return losses.mean_squared_error(scores, targets, where=where)
    if name == "l1":
        return losses.mean_absolute_error(scores, targets, where=where)
    if name == "smooth_l1":
        # Targets of padding may be NaN here, which a mask behind the loss would not
        # keep out of gradients.
        terms = optax.losses.huber_loss(scores, jnp.where(where, targets, 0))
        return jnp.sum(jnp.where(where, terms, 0)) / jnp.maximum(jnp.sum(where), 1).astype(float)
    if name == "classification":
        return losses.binary_classification(
            scores, targets, threshold=training.threshold, where=where
        )
    if name == "list_mle":
        return _list_mle(training, scores, targets, where)
    if name == "renas":
        return _renas(training, key, batch)
    if name == "comparator":
        return _comparator(training, key, batch)
    phi = _PHI[name](training.margin)
    return losses.pairwise(
        scores, targets, phi=phi, where=where, **_pairs(training, key, targets, where)
    )


def _pairs(training: Training, key: Key, targets: jax.Array, where: jax.Array) -> dict[str, Any]:
    """Options `pairs` and `pair_mask` of a loss; none where it is to take all pairs."""
    if training.max_ratio is None:
        return {}
    pairs, mask = losses.sample_pairs(key, targets, max_ratio=training.max_ratio, where=where)
    return {"pairs": pairs, "pair_mask": mask}


def _list_mle(
    training: Training, scores: jax.Array, targets: jax.Array, where: jax.Array
) -> jax.Array:
    """Listwise loss `[]` of the minibatch, which is in random order, cut into lists."""
    length = min(training.list_length, scores.shape[0])
    # The last list is filled up with what `where` does not count.
    padding = (0, -scores.shape[0] % length)
    lists = [jnp.pad(values, padding).reshape(-1, length) for values in (scores, targets, where)]
    return losses.list_mle(lists[0], lists[1], where=lists[2])


def _renas(training: Training, key: Key, batch: Batch) -> jax.Array:
    """Loss `[]` of ReNAS, equation 5: that of pairs, plus λ times the continuity of triplets."""
    pair_key, triplet_key = jax.random.split(key)
    phi = _PHI[training.phi](training.margin)
    pairs = _pairs(training, pair_key, batch.targets, batch.where)
    ranking = losses.pairwise(
        batch.output.scores, batch.targets, phi=phi, where=batch.where, **pairs
    )
    triplets = losses.sample_triplets(triplet_key, batch.targets.shape[0], training.num_triplets)
    # Distances of accuracies that differ by rounding alone have no sign to learn from.
    continuity = losses.triplet_continuity(
        batch.output.features, batch.targets, triplets, phi=phi, where=batch.where, threshold=1e-6
    )
    return ranking + training.continuity * continuity


def _comparator(training: Training, key: Key, batch: Batch) -> jax.Array:
    """Loss `[]` of a comparator on sampled pairs, in both orders."""
    # B pairs an architecture are more than all pairs: sampling then takes each of them once.
    ratio = float(batch.where.shape[0]) if training.max_ratio is None else training.max_ratio
    pairs, mask = losses.sample_pairs(key, batch.targets, max_ratio=ratio, where=batch.where)
    # A projection for each architecture, not for each pair it is in.
    as_first, as_second = batch.project(batch.output.features)
    i, j = pairs[:, 0], pairs[:, 1]
    outputs = batch.compare(as_first[i], as_second[j])
    swapped = batch.compare(as_first[j], as_second[i])
    phi = _PHI[training.phi](training.margin)
    return losses.comparator(
        outputs, swapped, batch.targets, pairs, phi=phi, pair_mask=mask, where=batch.where
    )

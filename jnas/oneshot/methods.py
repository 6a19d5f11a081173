"""Weight-sharing searches as values: what a step computes, and how an architecture comes of it.

A search trains the weights of all operations on one half of the training images, and a
distribution over architectures on the other half; its methods differ in the forward passes of the
two steps. Common to those of NAS-Bench-201 (Dong and Yang, ICLR 2020,
https://arxiv.org/abs/2001.00326, and the code released with it): SGD with Nesterov momentum .9, the
rate from .025 to .001 by a cosine of epochs, weight decay 5e-4, gradients clipped to the norm 5;
Adam with rate 3e-4, betas .5 and .999 and weight decay 1e-3 for the distribution.

Batch norms always have the statistics of the batch. The published rows of RSPS, SETN and ENAS were
made with running averages over whatever was sampled, which costs five points and more.
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jnas import training
from jnas.data import Augmentation
from jnas.types import Key, Network, Params, Space

Forward: TypeAlias = Callable[[Network, Params, Any, Key, jax.Array, jax.Array], jax.Array]
"""`(network, params, alpha, key, share [], images) -> logits [N, K]`; `share` of the search is
done, 0 in the first epoch and 1 in the last."""


class Architecture(NamedTuple):
    """Recipe of the steps that move the distribution over architectures, by Adam.

    Attributes:
        learning_rate: of all of the search.
        betas: weights of the earlier averages of gradients and of their squares.
        eps: added to the root.
        weight_decay: added to the gradient, times the parameter.
        clip_norm: largest norm of the gradient; None for any.
        begin: epochs in which the distribution does not move yet.
    """

    learning_rate: float = 3e-4
    betas: tuple[float, float] = (0.5, 0.999)
    eps: float = 1e-8
    weight_decay: float = 1e-3
    clip_norm: float | None = None
    begin: int = 0

    @property
    def optimizer(self) -> optax.GradientTransformation:
        """Optimiser of the parameters of the distribution."""
        # Decay is added to the gradient, before Adam divides by its root, as PyTorch's Adam has it;
        # it is not the decoupled one of AdamW. Clipping sees the gradient without it.
        clip = [] if self.clip_norm is None else [optax.clip_by_global_norm(self.clip_norm)]
        decay = [optax.add_decayed_weights(self.weight_decay)] if self.weight_decay else []
        adam = optax.scale_by_adam(*self.betas, eps=self.eps)
        return optax.chain(*clip, *decay, adam, optax.scale(-self.learning_rate))


class Choice(NamedTuple):
    """Architecture that a search ends with.

    Attributes:
        arch: `[D]` int32.
        archs: `[K, D]` int32, those that it was chosen from by their scores; none where it was read
            off the distribution.
        scores: `[K]` float32, accuracy of each on one batch.
    """

    arch: np.ndarray
    archs: np.ndarray
    scores: np.ndarray


class Method(NamedTuple):
    """Weight-sharing search as pure functions.

    Attributes:
        name: of the factory in `jnas.oneshot`.
        recipe: of the weights.
        init: `(key, space) -> alpha`, parameters of the distribution: any pytree, or ().
        fit: `Forward` whose loss on the first half of the images the weights descend.
        choose: `Forward` whose loss on the second half the distribution descends; None has no such
            step.
        probabilities: `(space, key, alpha) -> [D, O]`, of the operations at each position.
        derive: `(setup, state, key, data) -> Choice`, on the host, when all is trained.
        architecture: recipe of the distribution.
        order: 2 differentiates the loss after one step of the weights (DARTS), and moves the
            distribution before the weights and not after them.
        penalty: `alpha -> []`, added to the loss of the distribution; None adds nothing.
        after: `(setup, state, key, number, data) -> state`, after each epoch; None does nothing.
        wave: epochs from the highest learning rate to the lowest, and again back; None is one
            cosine over the search.
        needs_mix: whether it needs `Network.mix`.
    """

    name: str
    recipe: training.Recipe
    init: Callable[[Key, Space], Any]
    fit: Forward
    choose: Forward | None
    probabilities: Callable[[Space, Key, Any], jax.Array]
    derive: Callable[..., Choice]
    architecture: Architecture = Architecture()
    order: Literal[1, 2] = 1
    penalty: Callable[[Any], jax.Array] | None = None
    after: Callable[..., Any] | None = None
    wave: int | None = None
    needs_mix: bool = True

    def __repr__(self) -> str:
        return f"Method {self.name}, {self.recipe.epochs} epochs"


RECIPE = training.Recipe(
    epochs=250,
    batch_size=64,
    learning_rate=0.025,
    final_learning_rate=0.001,
    # The released schedule moves once an epoch.
    by_epoch=True,
    weight_decay=5e-4,
    clip_norm=5.0,
    augmentation=Augmentation(flip=True, crop=4),
)


def logits_of(key: Key, space: Space) -> jax.Array:
    """Logits `[D, O]` float32 of N(0, 1e-3²), one distribution for the cells of all stages."""
    shape = len(space.cardinalities), max(space.cardinalities)
    # Small, for mixtures that are nearly even; not zeros, of which all operations would tie, and
    # the first one be what a search that has not moved has found.
    return 1e-3 * jax.random.normal(key, shape)


def softmax_of(space: Space, key: Key, alpha: jax.Array) -> jax.Array:
    """Probabilities `[D, O]` of logits."""
    del space, key
    return jax.nn.softmax(alpha, axis=-1)


def mixed(
    network: Network, params: Params, alpha: Any, key: Key, share: jax.Array, images: jax.Array
) -> jax.Array:
    """`Forward` of all operations, weighted by the softmax of the logits `alpha` (DARTS)."""
    del key, share
    return mix_of(network)(params, jax.nn.softmax(alpha, axis=-1), images)


def at_random(
    network: Network, params: Params, alpha: Any, key: Key, share: jax.Array, images: jax.Array
) -> jax.Array:
    """`Forward` of one architecture, uniform over the space."""
    del alpha, share
    # All of the space, as released, also cells without a convolution, which the samplers of
    # `oneshot.train` reject: such a step moves the stem and the blocks between stages.
    return network.apply(params, network.space.sample(key), images)


def mix_of(network: Network) -> Callable[..., jax.Array]:
    """`Network.mix`, where there is one; ValueError otherwise."""
    if network.mix is None:
        raise ValueError(f"the network of {network.space.name} has no mixed operations (`mix`)")
    return network.mix


def no_parameters(key: Key, space: Space) -> tuple[()]:
    """Parameters of a distribution that does not learn."""
    del key, space
    return ()


def uniform_of(space: Space, key: Key, alpha: Any) -> jax.Array:
    """Probabilities `[D, O]` of a distribution that does not learn."""
    del key, alpha
    # Positions with fewer choices have zeros at the end of their row.
    numbers = jnp.asarray(space.cardinalities, jnp.float32)[:, None]
    places = jnp.arange(max(space.cardinalities), dtype=jnp.float32)[None]
    return jnp.where(places < numbers, 1 / numbers, 0)

"""ENAS: a recurrent controller that learns from rewards of shared weights."""

import functools
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jax import lax

from jnas import training
from jnas.engine.inputs import check_at_least_one
from jnas.oneshot.alternating import Setup, Shared, State, drawn, moved_by
from jnas.oneshot.choosing import best_on_a_batch
from jnas.oneshot.methods import RECIPE, Architecture, Choice, Method
from jnas.types import Arch, Key, Network, Params, Space

_HIDDEN, _LAYERS = 32, 2
_BOUND, _TEMPERATURE = 2.5, 5.0  # of the logits, 2.5 tanh(x / 5)
_ENTROPY, _MOMENTUM = 1e-4, 0.99
_NUM_DRAWS = 1000  # by which the probabilities of positions are told

_RECIPE = RECIPE._replace(
    batch_size=128, learning_rate=0.05, final_learning_rate=0.0005, weight_decay=2.5e-4
)
_ADAM = Architecture(
    learning_rate=1e-3, betas=(0.0, 0.999), eps=1e-3, weight_decay=0.0, clip_norm=5.0
)


_States: TypeAlias = list[tuple[jax.Array, jax.Array]]


class Controller(NamedTuple):
    """Weights of the controller, `H` hidden units, `O` operations.

    Attributes:
        first: `[H]`, what it reads before the first choice.
        kernels: `[2, 2H, 4H]`, from input and hidden state to the gates input, forget, cell and
            output of two layers.
        biases: `[2, 2, 4H]`, two of each layer, as PyTorch has them.
        embedding: `[O, H]`, what a choice feeds into the next step.
        head: `[H, O]`, from the last hidden state to logits.
        head_bias: `[O]`.
    """

    first: jax.Array
    kernels: jax.Array
    biases: jax.Array
    embedding: jax.Array
    head: jax.Array
    head_bias: jax.Array


@functools.cache
def enas(
    *,
    recipe: training.Recipe = _RECIPE,
    num_updates: int = 50,
    num_samples: int = 20,
    num_archs: int = 100,
) -> Method:
    """Method of a controller that learns by REINFORCE.

    Pham et al., "Efficient Neural Architecture Search via Parameter Sharing", ICML 2018,
    https://arxiv.org/abs/1802.03268, as NAS-Bench-201 has it: the rate of the weights is a cosine
    wave of 20 epochs; the baseline of an epoch is the last one of the epoch before, moved by .01
    towards each reward and not by those in between; neither it nor the entropy in the reward is
    cut off the gradient.

    Args:
        recipe: of the weights.
        num_updates: of the controller after each epoch.
        num_samples: architectures whose rewards make up one update.
        num_archs: drawn at the end, each judged by one batch as it is augmented in training.

    Raises:
        ValueError: a number is less than 1.
    """
    check_at_least_one(num_updates=num_updates, num_samples=num_samples, num_archs=num_archs)
    return Method(
        "enas",
        recipe,
        init,
        _forward,
        None,
        _frequencies,
        functools.partial(_derive, num_archs),
        architecture=_ADAM,
        after=functools.partial(_after, num_updates, num_samples),
        wave=10,
        needs_mix=False,
    )


def init(key: Key, space: Space) -> Controller:
    """Weights before the search; ValueError where positions differ in their numbers of choices."""
    sizes = set(space.cardinalities)
    if len(sizes) > 1:
        raise ValueError(f"the controller needs equal numbers of choices; {space.name} has {sizes}")
    (num,) = sizes
    keys = jax.random.split(key, 8)

    def draw(place: int, bound: float, *shape: int) -> jax.Array:
        return jax.random.uniform(keys[place], shape, minval=-bound, maxval=bound)

    default = _HIDDEN**-0.5  # PyTorch's, of what the released code leaves as it is
    # The released code draws the matrices of the first layer anew, and leaves those of the second
    # as PyTorch has drawn them.
    kernels = [draw(0, 0.1, 2 * _HIDDEN, 4 * _HIDDEN), draw(1, default, 2 * _HIDDEN, 4 * _HIDDEN)]
    return Controller(
        draw(2, 0.1, _HIDDEN),
        jnp.stack(kernels),
        draw(3, default, _LAYERS, 2, 4 * _HIDDEN),
        # PyTorch's embedding is normal, but released as uniform.
        draw(4, 0.1, num, _HIDDEN),
        draw(5, 0.1, _HIDDEN, num),
        draw(6, default, num),
    )


class Drawn(NamedTuple):
    """Architecture `[D]` int32, its log-probability `[]`, and the entropy `[]` on its way."""

    arch: Arch
    log_prob: jax.Array
    entropy: jax.Array


def draw(key: Key, controller: Controller, num: int) -> Drawn:
    """Architecture of `num` positions drawn from a controller."""

    def step(carry: Any, key: Key) -> tuple[Any, Any]:
        read, states = carry
        logits, states = _next(controller, read, states)
        log_probs = jax.nn.log_softmax(logits)
        choice = jax.random.categorical(key, logits).astype(jnp.int32)
        entropy = -jnp.sum(jnp.exp(log_probs) * log_probs)
        return (controller.embedding[choice], states), (choice, log_probs[choice], entropy)

    zeros = jnp.zeros(_HIDDEN)
    before = controller.first, [(zeros, zeros)] * _LAYERS
    keys = jax.random.split(key, num)
    _, (arch, log_probs, entropies) = lax.scan(step, before, keys)
    return Drawn(arch, jnp.sum(log_probs), jnp.sum(entropies))


def _next(controller: Controller, read: jax.Array, states: _States) -> tuple[jax.Array, _States]:
    """Logits `[O]` of the next choice, and hidden states and cells `[H]` after it, by layer."""
    after = []
    for layer, (hidden, cell) in enumerate(states):
        both = jnp.concatenate([read, hidden])
        # Two biases that are only ever added, because both learn: Adam moves their sum twice as far
        # as one.
        gates = both @ controller.kernels[layer] + jnp.sum(controller.biases[layer], axis=0)
        i, f, g, o = jnp.split(gates, 4)
        cell = jax.nn.sigmoid(f) * cell + jax.nn.sigmoid(i) * jnp.tanh(g)
        read = jax.nn.sigmoid(o) * jnp.tanh(cell)
        after.append((read, cell))
    scores = read @ controller.head + controller.head_bias
    # Bounded, so that no choice becomes impossible before rewards have told it from the others.
    return _BOUND * jnp.tanh(scores / _TEMPERATURE), after


def _forward(
    network: Network,
    params: Params,
    alpha: Controller,
    key: Key,
    share: jax.Array,
    images: jax.Array,
) -> jax.Array:
    """`Forward` of one architecture that the controller draws."""
    del share
    arch = draw(key, alpha, len(network.space.cardinalities)).arch
    return network.apply(params, arch, images)


def _frequencies(space: Space, key: Key, alpha: Controller) -> jax.Array:
    """Frequencies `[D, O]` of operations among 1,000 architectures that are drawn."""
    keys = jax.random.split(key, _NUM_DRAWS)
    # By counting, because a later choice depends on those before it: its own probabilities would be
    # a sum over all ways to it.
    archs = jax.vmap(lambda key: draw(key, alpha, len(space.cardinalities)).arch)(keys)
    return jnp.mean(jax.nn.one_hot(archs, max(space.cardinalities)), axis=0)


def _after(
    num_updates: int,
    num_samples: int,
    of: Setup,
    state: State,
    key: Key,
    number: jax.Array,
    shared: Shared,
) -> State:
    """State after the controller has learned from the weights of an epoch, which stay."""
    del number
    before = state.baseline

    def one(carry: tuple[Any, Any], key: Key) -> tuple[tuple[Any, Any], jax.Array]:
        alpha, optimizer = carry
        draw_keys, batch_keys = (jax.random.split(k, num_samples) for k in jax.random.split(key))
        # Outside of the loss: no gradient goes through images, and networks run in a loop while the
        # controllers, which are tiny, run side by side. Equal keys draw equal architectures in
        # both.
        accuracies = _accuracies(of, state.params, alpha, draw_keys, batch_keys, shared)

        def loss(alpha: Controller) -> tuple[jax.Array, jax.Array]:
            losses, baselines = jax.vmap(
                # The baseline of the epoch before for every reward, as released, and the last one
                # is carried on.
                lambda key, accuracy: _loss(of, alpha, before, key, accuracy)
            )(draw_keys, accuracies)
            return jnp.mean(losses), baselines[-1]

        gradient, baseline = jax.grad(loss, has_aux=True)(alpha)
        moved = moved_by(of.method.architecture.optimizer, gradient, optimizer, alpha)
        return moved, baseline

    keys = jax.random.split(key, num_updates)
    (alpha, optimizer), baselines = lax.scan(one, (state.alpha, state.architecture), keys)
    return state._replace(alpha=alpha, architecture=optimizer, baseline=baselines[-1])


def _accuracies(
    of: Setup, params: Params, alpha: Controller, draw_keys: Key, batch_keys: Key, shared: Shared
) -> jax.Array:
    """Accuracies `[K]` of drawn architectures, each on a batch of its own."""
    num = len(of.network.space.cardinalities)

    def of_one(keys: tuple[Key, Key]) -> jax.Array:
        images, targets = drawn(of, keys[1], shared, of.recipe.batch_size)
        logits = of.network.apply(params, draw(keys[0], alpha, num).arch, images)
        # Targets and not labels: images that are mixed in augmentation have a share of two classes.
        right = jnp.take_along_axis(targets, jnp.argmax(logits, axis=1)[:, None], axis=1)
        return jnp.mean(right)

    found: jax.Array = lax.map(of_one, (draw_keys, batch_keys))
    return found


def _loss(
    of: Setup, alpha: Controller, before: jax.Array, key: Key, accuracy: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Loss `[]` of one drawn architecture, and the baseline `[]` after it."""
    found = draw(key, alpha, len(of.network.space.cardinalities))
    reward = accuracy + _ENTROPY * found.entropy
    baseline = next_baseline(before, reward, accuracy)
    # Neither is detached, as released: the entropy in the reward has a gradient of its own here,
    # times the log-probability, which lowers the entropy that the reward is meant to raise.
    return -found.log_prob * (reward - baseline), baseline


def next_baseline(before: jax.Array, reward: jax.Array, accuracy: jax.Array) -> jax.Array:
    """Baseline `[]` moved by a hundredth to the reward; of the first epoch (NaN) the accuracy."""
    # NaN times 0 would be NaN in the gradient.
    known = jnp.where(jnp.isnan(before), 0, before)
    moved = known - (1 - _MOMENTUM) * (known - reward)
    return jnp.where(jnp.isnan(before), accuracy, moved)


def _derive(num_archs: int, of: Setup, state: State, key: Key, shared: Shared) -> Choice:
    """Best of architectures that the controller draws, on one augmented batch each."""
    draw_key, key = jax.random.split(key)
    num = len(of.network.space.cardinalities)
    archs = jax.vmap(lambda key: draw(key, state.alpha, num).arch)(
        jax.random.split(draw_key, num_archs)
    )
    # As the published search has it, which ranks on the loader of its training.
    size, augmentation = of.recipe.batch_size, of.recipe.augmentation
    return best_on_a_batch(
        of, state, archs, key, shared, batch_size=size, augmentation=augmentation
    )

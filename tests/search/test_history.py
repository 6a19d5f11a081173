"""Best evaluations of histories with short and long trainings, against a loop in Python."""

import jax
import jax.numpy as jnp
import numpy as np

import jnas
from jnas.search.history import make_history
from jnas.types import History

INCUMBENTS = jax.jit(jax.vmap(jnas.search.incumbents))


def histories(epochs: np.ndarray, scores: np.ndarray) -> History:
    """Searches `[S, T]` of which the last slots are not in use."""
    num = scores.shape[1]

    def one(epochs: jax.Array, scores: jax.Array) -> History:
        return make_history(
            jnp.zeros((num, 1), jnp.int32),
            scores,
            jnp.ones(num),
            epochs,
            jnp.arange(num) < num - 2,
            truncated=jnp.asarray(False),
            num_repeats=jnp.int32(0),
            stalled=jnp.asarray(False),
        )

    return jax.vmap(one)(jnp.asarray(epochs, jnp.int32), jnp.asarray(scores, jnp.float32))


def drawn(seed: int, num_epochs: int) -> tuple[np.ndarray, np.ndarray]:
    """With ties and failures; some searches begin with a failure, one consists of them."""
    rng = np.random.default_rng(seed)
    epochs, scores = rng.integers(0, num_epochs, (40, 12)), rng.integers(-3, 4, (40, 12)) / 1.0
    scores[rng.random((40, 12)) < 0.3] = np.nan
    scores[0] = np.nan
    return epochs, scores


def by_hand(epochs: np.ndarray, scores: np.ndarray) -> list[int]:
    found, best = [], None
    for i, (epoch, score) in enumerate(zip(epochs, scores, strict=True)):
        is_known = not np.isnan(score) and i < len(scores) - 2
        if is_known and (best is None or (epoch, score) > (epochs[best], scores[best])):
            best = i
        found.append(best or 0)
    return found


def test_incumbents_are_the_best_of_the_longest() -> None:
    epochs, scores = drawn(0, 3)
    history = histories(epochs, scores)
    expected = [by_hand(*rows) for rows in zip(epochs, scores, strict=True)]
    np.testing.assert_array_equal(INCUMBENTS(history), expected)
    assert not np.array_equal(history.best, expected)


def test_incumbents_of_equal_trainings_are_the_best() -> None:
    history = histories(*drawn(1, 1))
    np.testing.assert_array_equal(INCUMBENTS(history), history.best)

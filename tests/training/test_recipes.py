"""Recipes: PyTorch's and TensorFlow's optimisers by hand, schedules, bad values."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jnas import training
from jnas.training.recipes import Recipe, optimizer, schedule


def steps_of(recipe: Recipe, weight: float, gradients: list[float], steps: int) -> list[float]:
    made = optimizer(recipe, steps)
    params = {"w": jnp.float32(weight)}
    state, found = made.init(params), []
    with jax.numpy_dtype_promotion("standard"):
        for gradient in gradients:
            updates, state = made.update({"w": jnp.float32(gradient)}, state, params)
            params = jax.tree.map(jnp.add, params, updates)
            found.append(float(params["w"]))
    return found


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("clip", [None, 0.5])
def test_sgd_is_that_of_torch(nesterov: bool, clip: float | None) -> None:
    recipe = Recipe(
        epochs=2, learning_rate=0.3, nesterov=nesterov, weight_decay=0.1, clip_norm=clip
    )
    gradients, weight, velocity = [1.0, -2.0, 0.25, 3.0], 0.7, 0.0
    expected = []
    for number, gradient in enumerate(gradients):
        rate = 0.3 * (1 + math.cos(math.pi * number / 4)) / 2
        if clip is not None:
            gradient *= min(1.0, clip / abs(gradient))
        gradient += 0.1 * weight
        velocity = 0.9 * velocity + gradient
        weight -= rate * (gradient + 0.9 * velocity if nesterov else velocity)
        expected.append(weight)
    np.testing.assert_allclose(steps_of(recipe, 0.7, gradients, 2), expected, rtol=1e-5)


def test_rmsprop_is_that_of_tensorflow() -> None:
    recipe = training.recipe("nasbench101", epochs=2, weight_decay=0.0)
    gradients, weight, mean, moved = [1.0, -2.0, 0.25, 3.0], 0.7, 1.0, 0.0
    expected = []
    for number, gradient in enumerate(gradients):
        rate = 0.2 * (1 + math.cos(math.pi * number / 4)) / 2
        mean = 0.9 * mean + 0.1 * gradient**2
        moved = 0.9 * moved + rate * gradient / math.sqrt(mean + 1.0)
        weight -= moved
        expected.append(weight)
    np.testing.assert_allclose(steps_of(recipe, 0.7, gradients, 2), expected, rtol=1e-5)


def test_schedules() -> None:
    by_step = schedule(Recipe(epochs=10, warmup_epochs=2.0, final_learning_rate=0.01), 5)
    rates = np.array([by_step(step) for step in range(50)])
    np.testing.assert_allclose(rates[:10], 0.1 * np.arange(10) / 10, rtol=1e-5, atol=1e-8)
    assert rates.argmax() == 10
    assert np.all(np.diff(rates[10:]) < 0)
    np.testing.assert_allclose(by_step(50), 0.01, rtol=1e-5)
    by_epoch = schedule(training.recipe("darts", epochs=10), 5)
    rates = np.array([by_epoch(step) for step in range(50)]).reshape(10, 5)
    assert np.all(rates == rates[:, :1])
    expected = 0.025 * (1 + np.cos(np.pi * np.arange(10) / 10)) / 2
    np.testing.assert_allclose(rates[:, 0], expected, rtol=1e-5)


@pytest.mark.parametrize("first", [0.1, 0.0])
def test_rates_may_be_inputs_of_a_program(first: float) -> None:
    recipe = Recipe(epochs=3, learning_rate=first, final_learning_rate=0.02, warmup_epochs=1.0)
    names = "learning_rate", "final_learning_rate"

    @jax.jit
    def rates(*numbers: jax.Array) -> jax.Array:
        by_step = schedule(recipe._replace(**dict(zip(names, numbers, strict=True))), 5)
        with jax.numpy_dtype_promotion("standard"):
            return jax.vmap(by_step)(jnp.arange(16))

    by_step = schedule(recipe, 5)
    wanted = np.array([by_step(step) for step in range(16)])
    np.testing.assert_allclose(rates(jnp.float32(first), jnp.float32(0.02)), wanted, rtol=1e-5)


@pytest.mark.parametrize("name", training.RECIPES)
def test_names(name: str) -> None:
    made = training.recipe(name)
    assert made == training.recipe(name)
    assert hash(made) == hash(training.recipe(name))
    assert training.recipe(name, epochs=3).epochs == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "epochs must be a whole number of at least 1; got 0"),
        ({"batch_size": 2.5}, "batch_size must be a whole number"),
        ({"learning_rate": -1.0}, "learning_rate must be 0 or more"),
        ({"learning_rate": math.nan}, "learning_rate must be 0 or more"),
        ({"momentum": 1.0}, r"momentum must be in \[0, 1\)"),
        ({"dropout": 1.5}, "dropout must be in"),
        ({"clip_norm": 0.0}, "clip_norm must be above 0, or None"),
        ({"norm_momentum": 0.0}, "norm_momentum must be in"),
        ({"optimizer": "sdg"}, "Did you mean 'sgd'"),
        ({"precision": "float16"}, "Did you mean 'bfloat16'"),
        ({"batchsize": 3}, "a recipe has no 'batchsize'. Did you mean 'batch_size'"),
    ],
)
def test_bad_values(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        training.recipe("quick", **changes)


def test_bad_name() -> None:
    with pytest.raises(ValueError, match="Did you mean 'nasbench201'"):
        training.recipe("nasbench202")

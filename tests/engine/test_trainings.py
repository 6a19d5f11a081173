"""The one training loop, on a toy whose course is known and on image networks."""

from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jnas
from jnas.engine import trainings
from jnas.engine.trainings import train
from jnas.types import Trainer

NUM, EPOCHS = 5, 23  # blocks of three epochs: the last one is not full


def init(job: jax.Array, shared: jax.Array) -> jax.Array:
    return job + shared


def epoch(job: jax.Array, number: jax.Array, state: jax.Array, shared: jax.Array) -> Any:
    state = 0.5 * state + job * number.astype(jnp.float32)
    return state, state - shared


def evaluate(job: jax.Array, number: jax.Array, state: Any, shared: Any) -> dict[str, jax.Array]:
    return {"sum": state + job, "number": number.astype(jnp.float32)}


TOY = Trainer(EPOCHS, init, epoch, lambda state: {"end": state}, evaluate)
JOBS, SHARED = np.arange(1.0, NUM + 1, dtype=np.float32), np.float32(3)


def course() -> tuple[np.ndarray, np.ndarray]:
    """States `[EPOCHS + 1, NUM]` and losses `[NUM, EPOCHS]`, by hand."""
    states = [JOBS + SHARED]
    for number in range(1, EPOCHS + 1):
        states.append(0.5 * states[-1] + JOBS * number)
    return np.stack(states), np.stack(states[1:]).T - SHARED


@pytest.mark.parametrize("batching", ["map", "vmap"])
def test_takes_its_course(batching) -> None:
    run = train(TOY, JOBS, SHARED, epochs=(20, 1, 23, 1), batching=batching)
    states, losses = course()
    np.testing.assert_allclose(run.results["end"], states[-1], rtol=1e-6)
    np.testing.assert_allclose(run.losses, losses, rtol=1e-6)
    assert run.epochs == (1, 20, 23)
    np.testing.assert_array_equal(run.metrics["number"], [[1, 20, 23]] * NUM)
    np.testing.assert_allclose(run.metrics["sum"], states[[1, 20, 23]].T + JOBS[:, None], rtol=1e-6)


def killed_after(num: int, monkeypatch: pytest.MonkeyPatch, **options: Any) -> None:
    """A run that is interrupted after some blocks."""
    add, done = trainings._Work.add, []

    def failing(work: Any, block: Any) -> None:
        if len(done) == num:
            raise KeyboardInterrupt
        done.append(1)
        add(work, block)

    with monkeypatch.context() as patch:
        patch.setattr(trainings._Work, "add", failing)
        train(TOY, JOBS, SHARED, **options)


def test_goes_on_after_a_kill_and_says_so(tmp_path, monkeypatch, capsys) -> None:
    options: dict[str, Any] = {"epochs": (2, 22), "checkpoint": tmp_path / "job"}
    whole = train(TOY, JOBS, SHARED, epochs=(2, 22))
    with pytest.raises(KeyboardInterrupt) as caught:
        killed_after(3, monkeypatch, **options)
    assert "Stopped at 9 of 23 epochs" in caught.value.__notes__[0]
    run = train(TOY, JOBS, SHARED, progress=True, **options)
    assert "Resumed at 9 of 23 epochs" in capsys.readouterr().err
    chex.assert_trees_all_equal(run._replace(kept={}), whole)
    assert set(run.kept) == {"job", "code"}
    for other in (
        {"epochs": (2, 21)},
        {"trainer": TOY._replace(num_epochs=22)},
        {"jobs": JOBS[:4]},
    ):
        arguments = {"trainer": TOY, "jobs": JOBS, "shared": SHARED, **options, **other}
        with pytest.raises(ValueError, match="another job"):
            train(**arguments)
    again = train(TOY, JOBS[:4], SHARED, resume=False, **options)
    np.testing.assert_array_equal(again.losses, whole.losses[:4])


def test_bad_epochs() -> None:
    for epochs in ((0,), (1, 24)):
        with pytest.raises(ValueError, match=r"epochs to evaluate must be in 1 … 23"):
            train(TOY, JOBS, SHARED, epochs=epochs)
    with pytest.raises(ValueError, match="nothing to evaluate"):
        train(TOY._replace(evaluate=None), JOBS, SHARED, epochs=(1,))


# -- Image networks: a second user of the loop, whose jobs are architectures -----------------------


class Images(NamedTuple):
    """Data of all trainings: images `[N, 8, 8, 3]` and labels `[N]`, to learn and to test with."""

    images: jax.Array
    labels: jax.Array
    test_images: jax.Array
    test_labels: jax.Array


class Job(NamedTuple):
    key: jax.Array
    arch: jax.Array


class State(NamedTuple):
    params: Any
    optimiser: Any


def image_trainer(network: jnas.types.Network, num_epochs: int, batch_size: int) -> Trainer:
    """Plain cross-entropy training of one architecture."""
    optimiser = optax.sgd(0.1, momentum=0.9)

    def init(job: Job, shared: Images) -> State:
        params = network.init(job.key)
        return State(params, optimiser.init(params))

    def loss_of(params: Any, arch: jax.Array, images: jax.Array, labels: jax.Array) -> jax.Array:
        logits = network.apply(params, arch, images)
        return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(logits, labels))

    def epoch(job: Job, number: jax.Array, state: State, shared: Images) -> Any:
        order = jax.random.permutation(jax.random.fold_in(job.key, number), len(shared.labels))

        def step(state: State, rows: jax.Array) -> tuple[State, jax.Array]:
            images, labels = shared.images[rows], shared.labels[rows]
            loss, grads = jax.value_and_grad(loss_of)(state.params, job.arch, images, labels)
            with jax.numpy_dtype_promotion("standard"):
                updates, after = optimiser.update(grads, state.optimiser)
                return State(optax.apply_updates(state.params, updates), after), loss

        state, losses = jax.lax.scan(step, state, order.reshape(-1, batch_size))
        return state, jnp.mean(losses)

    def evaluate(job: Job, number: jax.Array, state: State, shared: Images) -> dict[str, jax.Array]:
        logits = network.apply(state.params, job.arch, shared.test_images)
        return {"accuracy": jnp.mean((jnp.argmax(logits, 1) == shared.test_labels).astype(float))}

    return Trainer(num_epochs, init, epoch, lambda state: state.params, evaluate)


def image_jobs() -> tuple[Trainer, Job, Images]:
    """Stripes of two directions: a convolution tells them apart, a cell without a path cannot."""
    random = np.random.default_rng(0)
    stripes = np.sin(np.arange(8))[None, :, None, None] + 0.3 * random.normal(size=(48, 8, 8, 3))
    labels = np.arange(48, dtype=np.int32) % 2
    images = np.where(labels[:, None, None, None] == 0, stripes, stripes.transpose(0, 2, 1, 3))
    x, y = jnp.asarray(images, jnp.float32), jnp.asarray(labels)
    shared = Images(x[:32], y[:32], x[32:], y[32:])
    network = jnas.networks.nasbench201(channels=2, cells=1, stages=1, num_classes=2)
    archs = jnp.asarray([[3, 3, 3, 1, 3, 3], [0] * 6], jnp.int32)
    jobs = Job(jax.random.split(jax.random.key(0)), archs)
    return image_trainer(network, 12, 16), jobs, shared


@pytest.mark.slow
def test_image_networks_learn() -> None:
    run = train(*image_jobs(), epochs=(12,))
    assert run.losses[0, -1] < 0.3 < 0.6 < run.losses[1, -1]
    assert run.metrics["accuracy"][0, -1] > 0.9
    assert run.metrics["accuracy"][1, -1] == 0.5


@pytest.mark.slow
def test_image_networks_learn_alone_as_together() -> None:
    trainer, jobs, shared = image_jobs()
    alone = jax.tree.map(lambda leaf: leaf[:1], jobs)
    np.testing.assert_array_equal(
        train(trainer, alone, shared).losses, train(trainer, jobs, shared).losses[:1]
    )

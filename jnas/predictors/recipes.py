"""The predictors of the papers, each a few lines: an encoding, a network, a loss.

All factories take a `types.Space` and keyword-only settings whose defaults are the papers', and
return a `types.Predictor`; equal calls return the same object, and with it its compiled programs.
ValueError says which space a predictor is not made for. `training` is a `predictors.Training`.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jnas import _renamed, encodings
from jnas.engine.messages import nearest
from jnas.predictors import many, prediction
from jnas.predictors.gates import GatesOnEdges, GatesOnNodes
from jnas.predictors.gcn import Gcn
from jnas.predictors.layers import Scorer
from jnas.predictors.lstm import Peephole, TokenLstm
from jnas.predictors.mlp import Flatten
from jnas.predictors.prediction import Recipe
from jnas.predictors.renas import LeNet
from jnas.predictors.training import Training
from jnas.types import Graph, Key, Predictor, Space

_RENAS = Training(loss="logistic", max_ratio=None, batch_size=1024)
_PEEPHOLE = Training(loss="smooth_l1", scaling="standard")
_CLASSIFIER = Training(loss="classification")


def predictor(name: str, space: Space, settings: dict[str, Any], recipe: Recipe) -> Predictor:
    """A `Predictor` from its parts; `settings` are what the factory `name` was called with."""

    def fit(key: Key, archs: Any, targets: Any, **options: Any) -> Any:
        one = jax.numpy.expand_dims(key, 0), np.asarray(archs)[None], np.asarray(targets)[None]
        return many.state(many.fit_many(space, recipe, *one, **options).states, 0)

    return Predictor(
        name=name,
        space=space,
        settings=settings,
        fit=fit,
        predict=functools.partial(prediction.predict, recipe),
        fit_many=functools.partial(many.fit_many, space, recipe),
        predict_many=functools.partial(prediction.predict_many, recipe),
    )


@functools.cache
def gates(
    space: Space,
    *,
    layers: tuple[int, ...] | None = None,
    hidden: tuple[int, ...] = (200,),
    dropout: float = 0.1,
    pairing: str | None = None,
    training: Training | None = None,
) -> Predictor:
    """GATES (Ning et al., ECCV 2020): `gates.GatesOnNodes` or `gates.GatesOnEdges`, with a head.

    Args:
        space: operations on nodes or on edges.
        layers: output sizes of the encoder; None for four layers of 128 (on nodes) or five (on
            edges).
        hidden: layers of the head.
        dropout: of the head.
        pairing: "diff" or "concat" for a comparator; its training has `loss="comparator"` then.
        training: None for the hinge loss, or the comparator's.
    """
    default = Training(loss="hinge" if pairing is None else "comparator")
    on_edges = operations_on_edges(space)
    sizes = layers or ((128,) * 5 if on_edges else (128,) * 4)
    encoder = (
        GatesOnEdges(
            len(space.edge_operations),
            sizes,
            num_inputs=space.num_inputs,
            residual=space.num_inputs,
        )
        if on_edges
        else GatesOnNodes(len(space.node_operations), sizes, num_inputs=space.num_inputs)
    )
    used = training or default
    if (used.loss == "comparator") != (pairing is not None):
        raise ValueError(
            f"a comparator needs loss='comparator' and a pairing; got {used.loss!r} and {pairing!r}"
        )
    if pairing is not None and not hidden:
        raise ValueError("a comparator needs at least one hidden layer")
    settings = {
        "layers": layers,
        "hidden": hidden,
        "dropout": dropout,
        "pairing": pairing,
        "training": used,
    }
    recipe = Recipe(cached(_graphs, space), Scorer(encoder, hidden, dropout, pairing), used)
    return predictor("gates", space, settings, recipe)


@functools.cache
def gcn(
    space: Space,
    *,
    layers: tuple[int, ...] = (128, 128),
    self_loops: bool = True,
    normalise: bool = False,
    global_node: bool = False,
    hidden: tuple[int, ...] = (200,),
    dropout: float = 0.1,
    training: Training = Training(),  # noqa: B008 (frozen)
) -> Predictor:
    """The graph convolutional network of the GATES comparison, `gcn.Gcn`; where operations are on
    edges, edges become the nodes of a line graph.
    """
    on_edges = operations_on_edges(space)
    encode = cached(encodings.node_graphs, space)
    num_ops = len(space.edge_operations) + 2 if on_edges else len(space.node_operations)
    encoder = Gcn(
        num_ops, layers, self_loops=self_loops, normalise=normalise, global_node=global_node
    )
    settings = {
        "layers": layers,
        "self_loops": self_loops,
        "normalise": normalise,
        "global_node": global_node,
    }
    settings |= {"hidden": hidden, "dropout": dropout, "training": training}
    return predictor(
        "gcn", space, settings, Recipe(encode, Scorer(encoder, hidden, dropout), training)
    )


@functools.cache
def mlp(
    space: Space,
    *,
    hidden: tuple[int, ...] = (200, 200, 200),
    dropout: float = 0.1,
    training: Training = Training(),  # noqa: B008 (frozen)
) -> Predictor:
    """The MLP of the GATES comparison: connection bits and operation numbers, as they are, into a
    head.
    """
    recipe = Recipe(cached(encodings.tokens, space), Scorer(Flatten(), hidden, dropout), training)
    return predictor(
        "mlp", space, {"hidden": hidden, "dropout": dropout, "training": training}, recipe
    )


@functools.cache
def lstm(
    space: Space,
    *,
    embedding: int = 100,
    size: int = 100,
    hidden: tuple[int, ...] = (200,),
    dropout: float = 0.1,
    training: Training = Training(),  # noqa: B008 (frozen)
) -> Predictor:
    """The LSTM of the GATES comparison over `encodings.tokens`; `size` is that of its state."""
    encoder = TokenLstm(encodings.vocabulary(space), embedding, size)
    settings = {
        "embedding": embedding,
        "size": size,
        "hidden": hidden,
        "dropout": dropout,
        "training": training,
    }
    return predictor(
        "lstm",
        space,
        settings,
        Recipe(cached(encodings.tokens, space), Scorer(encoder, hidden, dropout), training),
    )


@functools.cache
def rnn_classifier(
    space: Space,
    *,
    embedding: int = 100,
    size: int = 100,
    training: Training = _CLASSIFIER,
) -> Predictor:
    """The recurrent classifier of Alshubaily (2019): is the accuracy above `training.threshold`?
    Scores are logits.
    """
    encoder = TokenLstm(encodings.vocabulary(space), embedding, size)
    settings = {"embedding": embedding, "size": size, "training": training}
    return predictor(
        "rnn_classifier",
        space,
        settings,
        Recipe(cached(encodings.tokens, space), Scorer(encoder, ()), training),
    )


@functools.cache
def peephole(
    space: Space,
    *,
    num_ratios: int = 8,
    embedding: int = 25,
    size: int = 100,
    hidden: tuple[int, ...] = (200,),
    training: Training = _PEEPHOLE,
) -> Predictor:
    """Peephole (Deng, Yan and Lin, 2017): an LSTM over layers, and a regression of the accuracy.

    Sizes are not published in a form that could be recovered; these are those of the `lstm` above.
    """
    operations = space.edge_operations if operations_on_edges(space) else space.node_operations
    encoder = Peephole((len(operations) + 1, 8, 8, num_ratios + 1), embedding, size)
    settings = {
        "num_ratios": num_ratios,
        "embedding": embedding,
        "size": size,
        "hidden": hidden,
        "training": training,
    }
    encode = cached(encodings.layers, space, num_ratios=num_ratios)
    return predictor("peephole", space, settings, Recipe(encode, Scorer(encoder, hidden), training))


@functools.cache
def renas(space: Space, *, type_only: bool = False, training: Training = _RENAS) -> Predictor:
    """ReNAS (Xu et al., CVPR 2021): `renas.LeNet` on the tensor of `encodings.renas`.

    Its four variants are v1 `type_only=True` with
    `Training(loss="mse", scaling="minmax", batch_size=1024)`, v2 the same on the whole tensor, v3
    `type_only=True` with pairs (the default loss), v4 the default; "renas" adds triplets.
    """
    recipe = Recipe(
        cached(encodings.renas, space, type_only=type_only), Scorer(LeNet(), ()), training
    )
    return predictor("renas", space, {"type_only": type_only, "training": training}, recipe)


def _graphs(space: Space) -> Callable[[jax.Array], Graph]:
    """`archs [B, D] -> Graph` with a leading axis `B`."""
    return jax.vmap(space.graph)


def operations_on_edges(space: Space) -> bool:
    """Whether edges have operations of their own."""
    return len(space.edge_operations) > 2


@functools.cache
def cached(factory: Callable[..., Any], space: Space, **options: Any) -> Callable[[jax.Array], Any]:
    """The same function for equal options, so that equal recipes share their compiled programs."""
    encode: Callable[[jax.Array], Any] = factory(space, **options)
    return encode


FACTORIES: dict[str, Callable[..., Predictor]] = {
    factory.__name__: factory
    for factory in (gates, gcn, lstm, mlp, peephole, renas, rnn_classifier)
}

RENAMED = {"lenet": "renas"}
"""Names of the last release, which saved predictors have, too."""


def by_name(name: str, space: Space, **settings: Any) -> Predictor:
    """The predictor of a factory of this name; ValueError lists the valid names, TypeError wrong
    settings.
    """
    if name in RENAMED:
        _renamed.warn(f"the predictor {name!r}", repr(RENAMED[name]))
        name = RENAMED[name]
    if name not in FACTORIES:
        raise ValueError(f"unknown predictor {name!r}. {nearest(name, tuple(FACTORIES))}")
    return FACTORIES[name](space, **settings)


def as_plain(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings as JSON can hold them."""
    return {n: dataclasses.asdict(v) if isinstance(v, Training) else v for n, v in settings.items()}


def from_plain(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings of a factory from what JSON gives back."""
    values = {
        name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()
    }
    return values | (
        {"training": Training(**settings["training"])} if "training" in settings else {}
    )

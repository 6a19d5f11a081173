"""Predictors of the papers, each a few lines: an encoding, a network and a loss.

All factories take a `types.Space` and keyword-only settings whose defaults are the papers', and
return a `types.Predictor`; equal calls return the same object, and with it its compiled programs.
They take every space; what a paper has no cells of is this library's extension. `training` is a
`predictors.Training`.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

from jnas import _renamed, encodings
from jnas.engine.messages import nearest
from jnas.engine.pickles import pickled_by_call
from jnas.predictors import many, prediction
from jnas.predictors.cells import cached, graphs, of_cells
from jnas.predictors.gates import GatesOnEdges, GatesOnNodes
from jnas.predictors.gcn import Gcn
from jnas.predictors.layers import Scorer
from jnas.predictors.lstm import Peephole, TokenLstm
from jnas.predictors.mlp import Flatten
from jnas.predictors.prediction import Recipe
from jnas.predictors.renas import LeNet
from jnas.predictors.training import Training
from jnas.types import Predictor, Space

# The published code takes the logistic penalty on all pairs of minibatches of 1,024; the paper
# states the hinge for the ranking loss.
_RENAS = Training(loss="logistic", max_ratio=None, batch_size=1024)
# Smooth L1 turns linear at a distance of 1, which is one standard deviation of the targets here.
_PEEPHOLE = Training(loss="smooth_l1", scaling="standard")
_CLASSIFIER = Training(loss="classification")
# Of GATES on cells such as those of ENAS and DARTS, after the authors' code.
_SEVERAL_INPUTS: dict[str, Any] = {"reduce": "mean", "readout": "mean", "learns_nodes": True}


def predictor(name: str, space: Space, settings: dict[str, Any], recipe: Recipe) -> Predictor:
    """Predictor from its parts; `settings` are what the factory `name` was called with."""
    fit_many = functools.partial(many.fit_many, space, recipe)
    return Predictor(
        name=name,
        space=space,
        settings=settings,
        fit=functools.partial(many.fit_one, fit_many),
        predict=functools.partial(prediction.predict, recipe),
        fit_many=fit_many,
        predict_many=functools.partial(prediction.predict_many, recipe),
    )


@functools.cache
@pickled_by_call
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

    Cells of two inputs are read as the authors' code reads those of ENAS: what the two slots of a
    node read is averaged, the embedding is the mean over inner nodes, and the kinds of cell, which
    differ in the embeddings of their nodes, stand side by side.

    Args:
        space: operations on nodes or on edges.
        layers: output sizes of the encoder; None for four of 128 (on nodes) or five (on edges).
        hidden: layers of the head.
        dropout: of the head.
        pairing: "diff" or "concat" for a comparator; its training has `loss="comparator"` then.
        training: None for the hinge loss, or the comparator's.

    Raises:
        ValueError: a pairing without `loss="comparator"`, or the other way round; a comparator
            without a hidden layer.
    """
    default = Training(loss="hinge" if pairing is None else "comparator")
    on_edges = encodings.operations_on_edges(space)
    sizes = layers or ((128,) * 5 if on_edges else (128,) * 4)
    encoder = (
        GatesOnEdges(
            len(space.edge_operations),
            sizes,
            num_inputs=space.num_inputs,
            residual=space.num_inputs,
            **(_SEVERAL_INPUTS if space.num_inputs > 1 else {}),
        )
        if on_edges
        else GatesOnNodes(len(space.node_operations), sizes, num_inputs=space.num_inputs)
    )
    used = training or default
    # A head on pairs has no score that another loss could be taken of.
    if (used.loss == "comparator") != (pairing is not None):
        raise ValueError(
            f"a comparator needs loss='comparator' and a pairing; got {used.loss!r} and {pairing!r}"
        )
    # The two embeddings meet in the first hidden layer.
    if pairing is not None and not hidden:
        raise ValueError("a comparator needs at least one hidden layer")
    settings = {
        "layers": layers,
        "hidden": hidden,
        "dropout": dropout,
        "pairing": pairing,
        "training": used,
    }
    recipe = of_cells(space, graphs, encoder, used, hidden, dropout, pairing)
    return predictor("gates", space, settings, recipe)


@functools.cache
@pickled_by_call
def gcn(
    space: Space,
    *,
    # Not published for NAS-Bench-101: chosen on validation cells
    # (`experiments/gates_validation.py`).
    layers: tuple[int, ...] = (128, 128),
    self_loops: bool = True,
    normalise: bool = False,
    global_node: bool = False,
    hidden: tuple[int, ...] = (200,),
    dropout: float = 0.1,
    training: Training = Training(),  # noqa: B008 (frozen)
) -> Predictor:
    """Graph convolutional network of the GATES comparison (Ning et al., ECCV 2020), `gcn.Gcn`.

    Where operations are on edges, edges become the nodes of a line graph; the paper has such cells
    of one kind only.
    """
    encoder = Gcn(
        len(encodings.node_operations(space)),
        layers,
        self_loops=self_loops,
        normalise=normalise,
        global_node=global_node,
        num_inputs=space.num_inputs,
    )
    settings = {
        "layers": layers,
        "self_loops": self_loops,
        "normalise": normalise,
        "global_node": global_node,
    }
    settings |= {"hidden": hidden, "dropout": dropout, "training": training}
    recipe = of_cells(space, encodings.node_graphs, encoder, training, hidden, dropout)
    return predictor("gcn", space, settings, recipe)


@functools.cache
@pickled_by_call
def mlp(
    space: Space,
    *,
    # Not published for this comparison: `experiments/gates_validation.py` has others beside it.
    hidden: tuple[int, ...] = (200, 200, 200),
    dropout: float = 0.1,
    one_hot: bool = False,
    training: Training = Training(),  # noqa: B008 (frozen)
) -> Predictor:
    """MLP of the GATES comparison: a head that reads connection bits and operation numbers.

    With `one_hot` it reads a bit for each operation (`encodings.adjacency`), where the paper has
    its number.
    """
    encode = cached(encodings.adjacency if one_hot else encodings.tokens, space)
    settings = {"hidden": hidden, "dropout": dropout, "one_hot": one_hot, "training": training}
    return predictor(
        "mlp", space, settings, Recipe(encode, Scorer(Flatten(), hidden, dropout), training)
    )


@functools.cache
@pickled_by_call
def lstm(
    space: Space,
    *,
    embedding: int = 100,
    size: int = 100,
    hidden: tuple[int, ...] = (200,),
    dropout: float = 0.1,
    training: Training = Training(),  # noqa: B008 (frozen)
) -> Predictor:
    """LSTM of the GATES comparison over `encodings.tokens`; `size` is that of its state."""
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
@pickled_by_call
def rnn_classifier(
    space: Space,
    *,
    embedding: int = 100,
    size: int = 100,
    training: Training = _CLASSIFIER,
) -> Predictor:
    """Recurrent classifier of Alshubaily (2019), of accuracies above `training.threshold`.

    Scores are logits. The threshold is in the unit of the targets: percentages need one in percent.
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
@pickled_by_call
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
    # 0 is padding or "no kernel" in all four; 8 values hold kernels up to 7 x 7.
    encoder = Peephole((encodings.num_types(space), 8, 8, num_ratios + 1), embedding, size)
    settings = {
        "num_ratios": num_ratios,
        "embedding": embedding,
        "size": size,
        "hidden": hidden,
        "training": training,
    }
    # A recipe is equal to another only if its encoding is the same object.
    encode = cached(encodings.layers, space, num_ratios=num_ratios)
    return predictor("peephole", space, settings, Recipe(encode, Scorer(encoder, hidden), training))


@functools.cache
@pickled_by_call
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


FACTORIES: dict[str, Callable[..., Predictor]] = {
    factory.__name__: factory
    for factory in (gates, gcn, lstm, mlp, peephole, renas, rnn_classifier)
}

RENAMED = {"lenet": "renas"}
"""Names of the last release, which saved predictors have, too."""


def by_name(name: str, space: Space, **settings: Any) -> Predictor:
    """Predictor of the factory of this name.

    Raises:
        ValueError: no such name; the message lists the valid ones.
        TypeError: a setting that the factory does not have.
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
    """Settings of a factory, from what JSON gives back."""
    # JSON has no tuples; lists would not be hashable, as settings of a cached factory must be.
    values = {
        name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()
    }
    return values | (
        {"training": Training(**settings["training"])} if "training" in settings else {}
    )

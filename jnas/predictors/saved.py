"""Saved predictors: `.npz` files of plain arrays, with the name and settings to make them again."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from jax.tree_util import Partial

from jnas import spaces
from jnas.engine import readers
from jnas.engine.estimators import estimator as make_estimator
from jnas.engine.files import reading, replacing
from jnas.predictors import recipes
from jnas.predictors.ensemble import Members, by_name
from jnas.predictors.forest import Trees
from jnas.predictors.prediction import State
from jnas.types import Estimator, Predictor, Space


def save(path: str | Path, predictor: Predictor, state: Any) -> None:
    """File of a fitted predictor, written whole or not at all.

    Raises:
        ValueError: the name does not end in .npz.
        OSError: the file cannot be written, or is one that jnas did not write.
    """
    if Path(path).suffix != ".npz":
        raise ValueError(f"a saved predictor is an .npz file; got {path}")
    flat = flatten_dict({"state": _as_dict(state)}, sep="/")
    arrays: dict[str, Any] = {name: np.asarray(value) for name, value in flat.items()}
    settings = recipes.as_plain(dict(predictor.settings))
    about = {"predictor": predictor.name, "space": predictor.space.name, "settings": settings}
    with replacing(path, "saved predictor") as file:
        np.savez(file, about=json.dumps(about), **arrays)


def load(path: str | Path, space: Space | None = None) -> tuple[Predictor, Any]:
    """Predictor and state from a file that `save` wrote.

    Args:
        path: file that `save` wrote.
        space: the space it must be for; None takes what the file names, with default options. One
            that is not jnas' own, as those of `spaces.product`, must be given.

    Raises:
        ValueError: not such a file, or a predictor of another space, or of one that is not known.
        OSError: the file cannot be read.
    """
    reading(path, "the predictor")
    with readers.arrays(path, "is not a saved predictor") as file:
        about = json.loads(str(file["about"]))
        arrays = {name: jnp.asarray(file[name]) for name in file.files if name != "about"}
        name, settings, of = about["predictor"], about["settings"], str(about["space"])
        # Mapped here, so that files of the last release load without a warning about their names.
        name = recipes.RENAMED.get(name, name)
        if "member" in settings:
            settings["member"] = recipes.RENAMED.get(settings["member"], settings["member"])
        state = _as_state(unflatten_dict(arrays, sep="/")["state"])
        settings = recipes.from_plain(settings)
    if space is not None and space.name != of:
        raise ValueError(f"{path} holds a predictor of {of}; it cannot judge {space.name}")
    if space is None and of not in spaces.NAMES:
        raise ValueError(
            f"{path} holds a predictor of {of}, which is no space of jnas; that space must be "
            "given, too"
        )
    try:
        return by_name(name, space or spaces.by_name(of), **settings), state
    # Settings that no factory takes.
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} holds a predictor that cannot be made: {error}") from error


def _as_dict(value: Any) -> Any:
    """Nested dicts of the arrays of a state; what is None is left out."""
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, Mapping):
        return {name: _as_dict(part) for name, part in value.items() if part is not None}
    return value


def _as_state(value: Any) -> Any:
    """State from the nested dicts of `_as_dict`: a kind of state is known by its fields."""
    if not isinstance(value, Mapping):
        return value
    parts = {name: _as_state(part) for name, part in value.items()}
    # Fields that may be None may be missing. The kinds must differ in the others, or a file would
    # come back as another kind.
    for kind in (State, Members, Trees):
        required = set(kind._fields) - set(kind._field_defaults)
        if required <= set(parts) <= set(kind._fields):
            return kind(**parts)
    return parts


def estimator(predictor: Predictor, state: Any) -> Estimator:
    """Estimator of a fitted predictor; the state is an argument, never a constant of a program."""
    # Arguments of a `Partial` must be pytrees; the inner one makes the function
    # a pytree, of no leaves.
    shown = f"Estimator {predictor.name} of {predictor.space.name}"
    return make_estimator(shown, _estimate, Partial(predictor.predict), state)


def _estimate(predict: Any, state: Any, key: jax.Array, archs: jax.Array) -> jax.Array:
    """Scores `[B]`; a predictor draws nothing, so that the key is not used."""
    del key
    scores: jax.Array = predict(state, archs)
    return scores

"""One-shot estimators: networks that share their weights, how they are trained, how they rank."""

from jnas import _shown
from jnas.oneshot import samplers
from jnas.oneshot.recipes import RECIPES, Plateau, Recipe, recipe
from jnas.oneshot.scoring import estimator, suite
from jnas.oneshot.sharing import Sharing
from jnas.oneshot.supernet import Supernet, averaged, load, save
from jnas.oneshot.train import train

__all__ = [
    "RECIPES",
    "Plateau",
    "Recipe",
    "Sharing",
    "Supernet",
    "averaged",
    "estimator",
    "load",
    "recipe",
    "samplers",
    "save",
    "suite",
    "train",
]

# For completion.
__dir__ = _shown.public(__name__)

"""Training of networks, one well or thousands side by side, and estimators by training."""

from jnas import _shown
from jnas.training.export import export
from jnas.training.objective import TrainingObjective, estimator, objective
from jnas.training.recipes import RECIPES, Recipe, recipe
from jnas.training.train import train
from jnas.training.trained import Trained, load, save

__all__ = [
    "RECIPES",
    "Recipe",
    "Trained",
    "TrainingObjective",
    "estimator",
    "export",
    "load",
    "objective",
    "recipe",
    "save",
    "train",
]

# For completion.
__dir__ = _shown.public(__name__)

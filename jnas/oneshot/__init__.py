"""One-shot estimators: networks that share their weights, how they are trained, how they rank."""

from jnas import _shown
from jnas.oneshot import analysis, close, pruning, samplers
from jnas.oneshot.analysis.criteria import criteria
from jnas.oneshot.choosing import before_skips
from jnas.oneshot.darts import darts, drnas, pc_darts
from jnas.oneshot.enas import enas
from jnas.oneshot.gdas import gdas
from jnas.oneshot.methods import Method
from jnas.oneshot.perturbation import perturbed
from jnas.oneshot.recipes import RECIPES, Plateau, Recipe, recipe
from jnas.oneshot.rsps import rsps
from jnas.oneshot.scoring import estimator, suite
from jnas.oneshot.searching import METHODS, Searched, method, search
from jnas.oneshot.setn import setn
from jnas.oneshot.sharing import Sharing
from jnas.oneshot.study import Study, costs, study, study_table
from jnas.oneshot.supernet import Supernet, averaged, load, save, with_weights
from jnas.oneshot.train import train

__all__ = [
    "METHODS",
    "RECIPES",
    "Method",
    "Plateau",
    "Recipe",
    "Searched",
    "Sharing",
    "Study",
    "Supernet",
    "analysis",
    "averaged",
    "before_skips",
    "close",
    "costs",
    "criteria",
    "darts",
    "drnas",
    "enas",
    "estimator",
    "gdas",
    "load",
    "method",
    "pc_darts",
    "perturbed",
    "pruning",
    "recipe",
    "rsps",
    "samplers",
    "save",
    "search",
    "setn",
    "study",
    "study_table",
    "suite",
    "train",
    "with_weights",
]

# For completion.
__dir__ = _shown.public(__name__)

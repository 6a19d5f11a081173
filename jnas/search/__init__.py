"""Search strategies and the two loops that run them, `run` and `run_on_host`.

Imports nothing of jnas but `types`, the engine, and how values are shown and renamed.
"""

from jnas import _renamed, _shown
from jnas.search import policies
from jnas.search.area import area
from jnas.search.bohb import bohb
from jnas.search.constrained import constrained, limited
from jnas.search.genetic import genetic
from jnas.search.history import incumbents, num_distinct
from jnas.search.host import HostRun, run_on_host
from jnas.search.local_search import local_search
from jnas.search.named import NAMES, by_name, defaults
from jnas.search.nsga2 import nsga2
from jnas.search.pareto import Cost, Front, hypervolume, is_on_front, pareto_front
from jnas.search.predictor_guided import predictor_guided
from jnas.search.random_search import random_search
from jnas.search.regularized_evolution import regularized_evolution
from jnas.search.reinforce import reinforce
from jnas.search.reinforced_evolution import reinforced_evolution
from jnas.search.run import objective, run
from jnas.search.successive_halving import successive_halving

__all__ = [
    "NAMES",
    "Cost",
    "Front",
    "HostRun",
    "area",
    "bohb",
    "by_name",
    "constrained",
    "defaults",
    "genetic",
    "hypervolume",
    "incumbents",
    "is_on_front",
    "limited",
    "local_search",
    "nsga2",
    "num_distinct",
    "objective",
    "pareto_front",
    "policies",
    "predictor_guided",
    "random_search",
    "regularized_evolution",
    "reinforce",
    "reinforced_evolution",
    "run",
    "run_on_host",
    "successive_halving",
]

_renamed.suggest_names(__name__)

# For completion.
__dir__ = _shown.public(__name__)

"""Successive halving and Hyperband: many short trainings, longer ones of the best.

Jamieson and Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter Optimization",
AISTATS 2016, https://arxiv.org/abs/1502.07943, has one bracket. Li, Jamieson, DeSalvo, Rostamizadeh
and Talwalkar, "Hyperband: A Novel Bandit-Based Approach to Hyperparameter Optimization", ICLR 2017
and JMLR 18, 2018, https://arxiv.org/abs/1603.06560, has several, which begin with ever fewer and
ever longer trainings: rankings after few epochs may mislead. With a model of what to begin with it
is `bohb`.
"""

from jnas.engine.pickles import pickled_by_call
from jnas.search._brackets import Brackets, BracketState, bracketed, schedule
from jnas.search.regularized_evolution import Init
from jnas.types import Arch, Key, Searcher, Space


@pickled_by_call
def successive_halving(
    space: Space,
    *,
    min_epochs: int = 12,
    max_epochs: int = 200,
    eta: int = 3,
    brackets: Brackets = "one",
    init: Init | None = None,
) -> Searcher:
    """Strategy of brackets: random architectures, of which one in `eta` goes on, and so on.

    The numbers of epochs are `max_epochs / eta^k`, rounded down, as far as they reach `min_epochs`:
    by default 22, 66 and 200, in a bracket of 9 → 3 → 1 evaluations. The sizes are those of
    HpBandSter, the authors' of BOHB. A rung takes the best of the one below, and asks for them with
    all their epochs: an objective that keeps its trainings goes on with them, any other trains from
    the start. An evaluation that is still out counts as worse than all that are told, but for those
    that failed. A search goes on with the next bracket for as long as it lasts.

    `History.best` compares scores whatever the epochs; the best of the longest trainings are
    `search.incumbents(history)`.

    Args:
        space: where to search.
        min_epochs: the fewest epochs worth a training.
        max_epochs: epochs of a full training.
        eta: one of so many goes on, with so many times the epochs.
        brackets: "one" begins every bracket with trainings of the fewest epochs, as published in
            2016; "hyperband" takes turns, by default 9 → 3 → 1, 3 → 1 and 3 full trainings.
        init: `(key, num) -> [num, D]`, valid architectures that the first bracket begins with, such
            as the best by a score without training; by default random.

    Returns:
        A `Searcher` with a batch size of 1, that needs the evaluations of the first bracket.

    Raises:
        ValueError: there are fewer `max_epochs` than `min_epochs`, a number is out of its range,
            `brackets` is unknown.
    """
    plan = schedule(min_epochs, max_epochs, eta, brackets)

    def propose(key: Key, state: BracketState) -> Arch:
        # Whatever was told: what is known of the others only decides who goes on.
        del state
        return space.sample(key)

    # Without a model nothing is remembered beyond a bracket.
    return bracketed(space, plan, propose, capacity=max(map(sum, plan.brackets)), init=init)

"""Assisted regularized evolution: a score chooses the initial population.

Mellor, Turner, Storkey and Crowley, "Neural Architecture Search without Training", ICML 2021,
https://arxiv.org/abs/2006.04647, section 4.1 and algorithm 2.
"""

import jax
from jax import lax

from jnas.engine.inputs import as_estimator
from jnas.engine.pickles import pickled_by_call
from jnas.search._selection import Tournament, comparable
from jnas.search.regularized_evolution import regularized_evolution
from jnas.types import Estimator, Key, Searcher, Space


@pickled_by_call
def area(
    space: Space,
    estimator: Estimator,
    *,
    population_size: int = 10,
    num_candidates: int | None = None,
    sample_size: int = 3,
    tournament: Tournament = "without_replacement",
    batch_size: int = 1,
) -> Searcher:
    """Strategy of regularized evolution from the best-scored half of random architectures.

    Only the start is assisted: afterwards the estimator has no say. What scoring costs is not part
    of the outcomes, so a budget in seconds has to be shortened by it. All candidates of a search
    are scored with the same key.

    Args:
        space: where to search.
        estimator: scores the candidates, such as `zeroshot.naswot`; must be traceable.
        population_size: members, the paper's `N`.
        num_candidates: random architectures to score, the paper's `M`; by default twice the
            population.
        sample_size: members that compete to be the parent (the paper does not give it; that of
            NAS-Bench-201).
        tournament: whether a member can be drawn twice into one sample.
        batch_size: architectures proposed by one `ask`.

    Returns:
        A `Searcher`. The initial population is proposed, and so ages, from the best score on.

    Raises:
        ValueError: there are fewer candidates than members; or as for `regularized_evolution`.
    """
    # Section 4.1 draws 20 for a population of 10.
    num = 2 * population_size if num_candidates is None else num_candidates
    if num < population_size:
        raise ValueError(
            f"num_candidates must be at least the population_size {population_size}; got {num}"
        )

    judge = as_estimator(estimator)

    def best_scored(key: Key, size: int) -> jax.Array:
        draw_key, score_key = jax.random.split(key)
        candidates = jax.vmap(space.sample)(jax.random.split(draw_key, num))
        # Best first: members age in this order, so the worst of the chosen dies last.
        return candidates[lax.top_k(comparable(judge(score_key, candidates)), size)[1]]

    # All that follows is as it was published: the score has no say once accuracies are known.
    return regularized_evolution(
        space,
        population_size=population_size,
        sample_size=sample_size,
        tournament=tournament,
        init=best_scored,
        batch_size=batch_size,
    )

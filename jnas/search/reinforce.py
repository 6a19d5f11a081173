"""REINFORCE: policy gradients, by which a distribution over architectures raises its reward.

Williams, "Simple statistical gradient-following algorithms for connectionist reinforcement
learning", Machine Learning 8, 1992; with a recurrent controller Zoph and Le, "Neural Architecture
Search with Reinforcement Learning", ICLR 2017, https://arxiv.org/abs/1611.01578; with independent
positions the baseline of NAS-Bench-201 (Dong and Yang, ICLR 2020) and NATS-Bench. Alshubaily,
"Speeding Up Neural Architecture Search By Using Performance Prediction", 2019, has the same update,
with a moving average of the previous accuracies as baseline; he gives no batch size, momentum,
learning rate or size of the controller.
"""

import functools
from typing import Any, Literal, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import optax

from jnas.engine.inputs import check_at_least_one, check_choice
from jnas.engine.pickles import pickled_by_call
from jnas.search import _baselines as baselines
from jnas.search import policies
from jnas.search._checks import check_momentum
from jnas.search._query import numbered
from jnas.search._redraw import draw_until
from jnas.types import Arch, Key, Outcome, Params, Policy, Query, Searcher, Space

PolicyName: TypeAlias = Literal["factorised", "lstm"]
# NATS-Bench's script, and section 4.1 of Zoph and Le.
_LEARNING_RATES = {"factorised": 0.01, "lstm": 6e-4}


class ReinforceState(NamedTuple):
    """State: a policy in training.

    Attributes:
        params: of the policy.
        optimiser: state of the optimiser.
        baseline: `[]` float, exponentially weighted average of the mean rewards of the batches.
        weight: `[]` float, sum of the weights.
        num_asked: `[]` int32, evaluations proposed so far.
    """

    params: Params
    optimiser: Any
    baseline: jax.Array
    weight: jax.Array
    num_asked: jax.Array


@pickled_by_call
def reinforce(
    space: Space,
    *,
    policy: PolicyName | Policy = "factorised",
    optimiser: optax.GradientTransformation | None = None,
    momentum: float = 0.9,
    entropy_weight: float = 0.0,
    failure_reward: float = 0.0,
    batch_size: int = 1,
    max_draws: int = 100,
) -> Searcher:
    """Strategy of policy gradients, with a moving average of the rewards as baseline.

    A batch of architectures `a_k` with rewards `R_k` (their scores) descends, by the optimiser,

        mean_k −(Σ_t log π(a_kt | a_k1 … a_k(t−1))) (R_k − b) − entropy_weight · H(a_k)

    (Zoph and Le, section 3.2), `H` being the sum of the entropies of the positions. The baseline
    `b` is the average of the batches' mean rewards with the weight of a batch falling by `momentum`
    a batch, corrected for its start at 0, and includes the batch itself, as in the published script
    of NAS-Bench-201 (Alshubaily's is of the previous rewards alone).

    A policy can draw vectors that are no valid architectures (in NAS-Bench-101 most are at first).
    They are drawn again, up to `max_draws` draws, after which `space.sample` steps in; the gradient
    is that of the unconditioned policy at the architecture proposed.

    Args:
        space: where to search.
        policy: "factorised", "lstm", or one from `policies` with other sizes.
        optimiser: by default Adam, with learning rate 6e-4 for "lstm" (Zoph and Le, section 4.1)
            and otherwise 0.01 (NATS-Bench; the script of NAS-Bench-201 has 0.5).
        momentum: of the baseline, in [0, 1).
        entropy_weight: how much the entropy of the policy is worth, in units of the reward.
        failure_reward: reward of evaluations that failed or cannot be ranked (NaN, ±inf); the
            default suits accuracies.
        batch_size: architectures proposed by one `ask`, and averaged in one update.
        max_draws: draws at most for one proposal.

    Returns:
        A `Searcher`.

    Raises:
        ValueError: the policy is unknown, a number is less than 1, the momentum is not in [0, 1).
    """
    check_at_least_one(batch_size=batch_size, max_draws=max_draws)
    check_momentum(momentum)
    pi = _policy(policy, space)
    # A policy of the caller's own has the rate of the factorised one, whatever it is.
    rate = _LEARNING_RATES["lstm" if policy == "lstm" else "factorised"]
    descent = optax.adam(rate) if optimiser is None else optimiser
    propose = functools.partial(_propose, space, pi, max_draws)
    loss = functools.partial(_loss, pi, entropy_weight)

    def init(key: Key) -> ReinforceState:
        params = pi.init(key)
        # A baseline without weight: the first reward takes its place.
        return ReinforceState(
            params, descent.init(params), jnp.zeros(()), jnp.zeros(()), jnp.zeros((), jnp.int32)
        )

    def ask(key: Key, state: ReinforceState) -> tuple[Query, ReinforceState]:
        archs = jax.vmap(propose, (0, None))(jax.random.split(key, batch_size), state.params)
        return numbered(state.num_asked, archs), state._replace(
            num_asked=state.num_asked + batch_size
        )

    def tell(state: ReinforceState, query: Query, outcome: Outcome) -> ReinforceState:
        scores = outcome.scores.astype(state.baseline.dtype)
        # A failure is a reward like any other, for the policy has to learn to avoid it.
        rewards = jnp.where(jnp.isfinite(scores), scores, failure_reward)
        # The baseline includes the batch, so the first advantage of a batch of one is 0: no step.
        baseline, weight = baselines.after(
            momentum, state.baseline, state.weight, jnp.mean(rewards)
        )
        # By the present policy: that of the proposal is not kept, and is the same one where every
        # batch is told before the next is asked for, as `run` does.
        gradients = jax.grad(loss)(state.params, query.archs, rewards - baseline)
        with jax.numpy_dtype_promotion("standard"):  # Optax mixes integers and floats
            updates, after = descent.update(gradients, state.optimiser, state.params)
        return ReinforceState(
            optax.apply_updates(state.params, updates), after, baseline, weight, state.num_asked
        )

    return Searcher(init, ask, tell)


def _policy(policy: PolicyName | Policy, space: Space) -> Policy:
    """Policy itself, or that of a name; ValueError lists the names."""
    if isinstance(policy, Policy):
        return policy
    check_choice("policy", policy, PolicyName)
    return {"factorised": policies.factorised, "lstm": policies.lstm}[policy](space.cardinalities)


def _propose(space: Space, policy: Policy, max_draws: int, key: Key, params: Params) -> Arch:
    """Proposal `[D]` int32 of the policy, or of the space where the policy finds no valid one."""
    policy_key, space_key = jax.random.split(key)
    arch, found = draw_until(
        policy_key,
        lambda key: policy.sample(key, params),
        space.is_valid,
        size=len(space.cardinalities),
        max_draws=max_draws,
    )
    return jnp.where(found, arch, space.sample(space_key))


def _loss(
    policy: Policy,
    entropy_weight: float,
    params: Params,
    archs: jax.Array,
    advantages: jax.Array,
) -> jax.Array:
    """Loss `[]` of a batch `[B, D]` with advantages `[B]`; see `reinforce`."""
    log_probs, entropies = jax.vmap(
        lambda arch: _log_prob_and_entropy(policy.logits(params, arch), arch)
    )(archs)
    return jnp.mean(-log_probs * advantages - entropy_weight * entropies)


def _log_prob_and_entropy(logits: jax.Array, arch: Arch) -> tuple[jax.Array, jax.Array]:
    """Log-probability `[]` of the choices `[D]`, and entropy `[]` of the policy that drew them.

    Both are sums over positions, whose `logits` are `[D, K]`.
    """
    # A choice that a position lacks has the probability 0 exactly, and adds 0 to the entropy.
    log_probs = jax.nn.log_softmax(logits)
    chosen = jnp.take_along_axis(log_probs, arch[:, None], axis=1)
    return jnp.sum(chosen), -jnp.sum(jnp.exp(log_probs) * log_probs)

"""Each score as an estimator of its own: `(key, archs [B, D]) -> scores [B]`, float32, -inf where
it is not finite.

All take `images` `[N, H, W, C]` float, and the settings `shared_init`, `repeats` and
`batching` of `suite`, which also says what is wrong with arguments (ValueError). `labels` are `[N]`
integers. Batch norm always sees the batch; higher is better. Several scores of one population are
cheaper from `suite`.
"""

import functools
from collections.abc import Callable
from typing import Literal, TypedDict, Unpack

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from jnas.types import Estimator, Key, Network, Space
from jnas.zeroshot.hamming import check_relus
from jnas.zeroshot.suite import by_name


class Settings(TypedDict, total=False):
    """See `suite`."""

    shared_init: bool
    repeats: int
    batching: Literal["map", "vmap"] | None


def grad_norm(
    network: Network, images: jax.Array, labels: jax.Array, **settings: Unpack[Settings]
) -> Estimator:
    """Σ over layers of the norm of the loss gradient (Abdelfattah et al., ICLR 2021, section 3.1);
    64 images there.
    """
    return by_name("grad_norm", network, images, labels, **settings)


def snip(
    network: Network, images: jax.Array, labels: jax.Array, **settings: Unpack[Settings]
) -> Estimator:
    """Σ |w ⊙ ∂L/∂w| (Lee, Ajanthan and Torr, ICLR 2019)."""
    return by_name("snip", network, images, labels, **settings)


def grasp(
    network: Network, images: jax.Array, labels: jax.Array, **settings: Unpack[Settings]
) -> Estimator:
    """Σ -w ⊙ (H ∂L/∂w) (Wang, Zhang and Grosse, ICLR 2020)."""
    return by_name("grasp", network, images, labels, **settings)


def fisher(
    network: Network, images: jax.Array, labels: jax.Array, **settings: Unpack[Settings]
) -> Estimator:
    """Squared products of activations and gradients (Turner et al., ICLR 2020), weighted as in
    Abdelfattah et al.
    """
    return by_name("fisher", network, images, labels, **settings)


def plain(
    network: Network,
    images: jax.Array,
    labels: jax.Array,
    *,
    sign: int = 1,
    **settings: Unpack[Settings],
) -> Estimator:
    """Σ w ⊙ ∂L/∂w times `sign`; the estimator study ranks by -1 times it."""
    if sign not in (1, -1):
        raise ValueError(f"sign must be 1 or -1; got {sign}")
    estimator = by_name("plain", network, images, labels, **settings)
    return estimator if sign == 1 else Partial(_negative, estimator)


def _negative(estimator: Estimator, key: Key, archs: jax.Array) -> jax.Array:
    scores = estimator(key, archs)
    return jnp.where(jnp.isfinite(scores), -scores, scores)


def jacob_cov(network: Network, images: jax.Array, **settings: Unpack[Settings]) -> Estimator:
    """How uncorrelated the images' Jacobians are (Mellor et al., first version; Abdelfattah et al.,
    ICLR 2021).
    """
    return by_name("jacob_cov", network, images, **settings)


def synflow(
    network: Network, images: jax.Array, *, batch_norm: bool = False, **settings: Unpack[Settings]
) -> Estimator:
    """Log Σ |w ⊙ ∂R/∂w| of an image of ones in the shape of `images` (Tanaka et al., NeurIPS
    2020).
    """
    return by_name("synflow_bn" if batch_norm else "synflow", network, images, **settings)


def naswot(
    network: Network,
    images: jax.Array,
    *,
    relus: Literal["live", "all"] = "live",
    **settings: Unpack[Settings],
) -> Estimator:
    """Log |det K| of the Hamming kernel of ReLU codes (Mellor et al., ICML 2021, equation 2); 128
    images there.

    Args:
        network: the candidate networks.
        images: `[N, H, W, C]`, at least two.
        relus: which ReLU modules count. "live": those with a path of operations other than "none"
            to the logits, the paper's intent. "all": every module of the architecture (the
            `relu_logdet` and `nwot` variants). The published code counts modules that autograd
            reaches. In its NAS-Bench-201 networks "none" multiplies by zero, which passes a
            gradient of zeros on, so there it counts all of them. It also matches class names that
            contain "ReLU" and so counts each ReLU-Conv-BN operation twice; that doubles most of K
            and adds about N log 2 to every score, which changes almost no ranks.
        settings: as in `suite`.

    Returns:
        An `Estimator`; -inf for a singular kernel, for example of a cell whose input and output are
        not connected.
    """
    check_relus(relus)
    return by_name("naswot" if relus == "live" else "relu_logdet", network, images, **settings)


def relu_count(network: Network, images: jax.Array, **settings: Unpack[Settings]) -> Estimator:
    """Number of ReLU modules of the network."""
    return by_name("relu_count", network, images, **settings)


def zen(network: Network, images: jax.Array, **settings: Unpack[Settings]) -> Estimator:
    """Zen-score (Lin et al., ICCV 2021); of the images the shape alone matters. The paper has
    `repeats=32`.
    """
    return by_name("zen", network, images, **settings)


def l2_norm(network: Network, images: jax.Array, **settings: Unpack[Settings]) -> Estimator:
    """Σ over layers of the norm of the initial weights (Krishnakumar et al.,
    "NAS-Bench-Suite-Zero", NeurIPS 2022).
    """
    return by_name("l2_norm", network, images, **settings)


def epe_nas(
    network: Network, images: jax.Array, labels: jax.Array, **settings: Unpack[Settings]
) -> Estimator:
    """Correlations of the images' Jacobians within classes (Lopes et al., ICANN 2021)."""
    return by_name("epe_nas", network, images, labels, **settings)


def zico(
    network: Network, images: jax.Array, labels: jax.Array, **settings: Unpack[Settings]
) -> Estimator:
    """Mean over deviation of gradients between the two halves of the batch (Li et al., ICLR
    2023).
    """
    return by_name("zico", network, images, labels, **settings)


def ntk_condition(network: Network, images: jax.Array, **settings: Unpack[Settings]) -> Estimator:
    """Minus the condition number of the tangent kernel of the first 16 images (TE-NAS, Chen et al.,
    ICLR 2021).
    """
    return by_name("ntk_condition", network, images, **settings)


def linear_regions(network: Network, images: jax.Array, **settings: Unpack[Settings]) -> Estimator:
    """Number of linear regions that the images fall into (TE-NAS, Chen et al., ICLR 2021).

    At most N: it tells networks apart only with many small images; the paper has 3,000 of 3x3.
    """
    return by_name("linear_regions", network, images, **settings)


def swap(network: Network, images: jax.Array, **settings: Unpack[Settings]) -> Estimator:
    """Number of distinct activation patterns over the first 16 images (Peng et al., SWAP-NAS, ICLR
    2024).
    """
    return by_name("swap", network, images, **settings)


def params(space: Space) -> Estimator:
    """Trainable parameters of the space's reference network, a strong baseline."""
    return Partial(_counter(space, "params"))


def flops(space: Space) -> Estimator:
    """Multiply-accumulates of the space's reference network, a strong baseline."""
    return Partial(_counter(space, "flops"))


@functools.cache
def _counter(space: Space, name: str) -> Callable[[Key, jax.Array], jax.Array]:
    """One function object for each space, so that programs are compiled once."""

    def scores(key: Key, archs: jax.Array) -> jax.Array:
        del key
        counts: jax.Array = jax.vmap(getattr(space, name))(archs)
        return counts.astype(jnp.float32)

    return scores

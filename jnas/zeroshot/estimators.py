"""Estimators of one score each: `(key, archs [B, D]) -> scores [B]` float32, -inf if not finite.

All take `images` `[N, H, W, C]` floats of any precision, and the settings `shared_init`, `repeats`
and `batching` of `suite`, which also says what is wrong with arguments (ValueError). `labels` are
`[N]` integers, classes of the network from 0 on. Batch norm always sees the batch; higher is
better. Several scores of one population are cheaper from `suite`.
"""

import functools
from collections.abc import Callable
from typing import Literal, TypedDict, Unpack

import jax
import jax.numpy as jnp
from numpy.typing import ArrayLike

from jnas.engine.estimators import estimator
from jnas.types import Estimator, Key, Network, Space
from jnas.zeroshot.hamming import check_relus
from jnas.zeroshot.suite import by_name


class Settings(TypedDict, total=False):
    """Settings that all scores share, see `suite`."""

    shared_init: bool
    repeats: int
    batching: Literal["map", "vmap"] | None


def grad_norm(
    network: Network, images: ArrayLike, labels: ArrayLike, **settings: Unpack[Settings]
) -> Estimator:
    """Gradient norm of the loss, summed over layers (Abdelfattah et al., ICLR 2021, section 3.1).

    The paper has 64 images.
    """
    return by_name("grad_norm", network, images, labels, **settings)


def snip(
    network: Network, images: ArrayLike, labels: ArrayLike, **settings: Unpack[Settings]
) -> Estimator:
    """SNIP, Σ |w ⊙ ∂L/∂w| (Lee, Ajanthan and Torr, ICLR 2019)."""
    return by_name("snip", network, images, labels, **settings)


def grasp(
    network: Network, images: ArrayLike, labels: ArrayLike, **settings: Unpack[Settings]
) -> Estimator:
    """GraSP, Σ -w ⊙ (H ∂L/∂w) with H the Hessian (Wang, Zhang and Grosse, ICLR 2020)."""
    return by_name("grasp", network, images, labels, **settings)


def fisher(
    network: Network, images: ArrayLike, labels: ArrayLike, **settings: Unpack[Settings]
) -> Estimator:
    """Fisher information of activations (Turner et al., ICLR 2020), from squared a ∂L/∂a.

    Channels are weighted as in Abdelfattah et al., ICLR 2021 (`gradients.fisher`).
    """
    return by_name("fisher", network, images, labels, **settings)


def plain(
    network: Network,
    images: ArrayLike,
    labels: ArrayLike,
    *,
    sign: int = 1,
    **settings: Unpack[Settings],
) -> Estimator:
    """Signed sum Σ w ⊙ ∂L/∂w times `sign`; the estimator study ranks by -1 times it.

    Raises:
        ValueError: a sign other than 1 and -1, and what `suite` raises.
    """
    if sign not in (1, -1):
        raise ValueError(f"sign must be 1 or -1; got {sign}")
    score = by_name("plain", network, images, labels, **settings)
    if sign == 1:
        return score
    return estimator(f"Estimator -plain of {network.space.name}", _negative, score)


def _negative(score: Estimator, key: Key, archs: jax.Array) -> jax.Array:
    """Scores times -1; those that cannot be ranked stay -inf, as the other sign would win."""
    scores = score(key, archs)
    return jnp.where(jnp.isfinite(scores), -scores, scores)


def jacob_cov(network: Network, images: ArrayLike, **settings: Unpack[Settings]) -> Estimator:
    """Jacobian covariance, higher where images are less correlated (Mellor et al., first version).

    The form is that of Abdelfattah et al., ICLR 2021 (`jacobian.jacob_cov`).
    """
    return by_name("jacob_cov", network, images, **settings)


def synflow(
    network: Network, images: ArrayLike, *, batch_norm: bool = False, **settings: Unpack[Settings]
) -> Estimator:
    """SynFlow, log Σ |w ⊙ ∂R/∂w| of one image of ones (Tanaka et al., NeurIPS 2020).

    Of `images` only the shape matters. `batch_norm` keeps the batch norms, which the score leaves
    out otherwise; the published program of the zero-cost proxies keeps those of the two residual
    blocks of NAS-Bench-201.
    """
    return by_name("synflow_bn" if batch_norm else "synflow", network, images, **settings)


def naswot(
    network: Network,
    images: ArrayLike,
    *,
    relus: Literal["live", "all"] = "live",
    **settings: Unpack[Settings],
) -> Estimator:
    """NASWOT, log |det K| of the Hamming kernel of ReLU codes (Mellor et al., ICML 2021, eq. 2).

    The paper has 128 images.

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
    # Here, because any other word would be taken for "all" below.
    check_relus(relus)
    return by_name("naswot" if relus == "live" else "relu_logdet", network, images, **settings)


def relu_count(network: Network, images: ArrayLike, **settings: Unpack[Settings]) -> Estimator:
    """Number of ReLU modules of the network."""
    return by_name("relu_count", network, images, **settings)


def zen(
    network: Network, images: ArrayLike, *, published: bool = False, **settings: Unpack[Settings]
) -> Estimator:
    """Zen-score (Lin et al., ICCV 2021); the paper has `repeats=32`.

    Of `images` only the shape matters. Variances are those of the batch, and norms count that lie
    on a path from the images to the logits. `published` is the form of the published program: the
    running variances of all norms, which start at 1 and hardly tell a norm of zeros from another.
    """
    return by_name("zen_published" if published else "zen", network, images, **settings)


def l2_norm(network: Network, images: ArrayLike, **settings: Unpack[Settings]) -> Estimator:
    """Norm of the initial weights, summed over layers.

    Krishnakumar et al., "NAS-Bench-Suite-Zero", NeurIPS 2022.
    """
    return by_name("l2_norm", network, images, **settings)


def epe_nas(
    network: Network, images: ArrayLike, labels: ArrayLike, **settings: Unpack[Settings]
) -> Estimator:
    """Correlations of the images' Jacobians within classes (Lopes et al., ICANN 2021)."""
    return by_name("epe_nas", network, images, labels, **settings)


def zico(
    network: Network, images: ArrayLike, labels: ArrayLike, **settings: Unpack[Settings]
) -> Estimator:
    """ZiCo, mean over deviation of gradients of two halves of the batch (Li et al., ICLR 2023).

    Where a cell does not connect its ends, gradients are rounding noise and so is the score; it is
    finite all the same.
    """
    return by_name("zico", network, images, labels, **settings)


def ntk_condition(network: Network, images: ArrayLike, **settings: Unpack[Settings]) -> Estimator:
    """Condition number of the tangent kernel of the first 16 images, times -1.

    Chen et al., TE-NAS, ICLR 2021, for whom a small one means a network that trains well. Weights
    are those of convolutions and the dense layer; the published program has scale and bias of batch
    norms in its kernel as well.
    """
    return by_name("ntk_condition", network, images, **settings)


def linear_regions(network: Network, images: ArrayLike, **settings: Unpack[Settings]) -> Estimator:
    """Number of linear regions that the images fall into (TE-NAS, Chen et al., ICLR 2021).

    At most N: it tells networks apart only with many small images; the paper has 3,000 of 3x3. Live
    ReLUs count, as in `naswot`; the published program counts all.
    """
    return by_name("linear_regions", network, images, **settings)


def swap(
    network: Network, images: ArrayLike, *, published: bool = False, **settings: Unpack[Settings]
) -> Estimator:
    """Number of distinct activation patterns over the first 16 images.

    Peng et al., SWAP-NAS, ICLR 2024. Live ReLUs count, as in `naswot`; `published` counts all, as
    the published program does.
    """
    return by_name("swap_published" if published else "swap", network, images, **settings)


def params(space: Space) -> Estimator:
    """Number of trainable parameters of the space's reference network, a strong baseline."""
    return estimator(f"Estimator params of {space.name}", _counter(space, "params"))


def flops(space: Space) -> Estimator:
    """Number of multiply-accumulates of the space's reference network, a strong baseline."""
    return estimator(f"Estimator flops of {space.name}", _counter(space, "flops"))


@functools.cache
def _counter(space: Space, name: str) -> Callable[[Key, jax.Array], jax.Array]:
    """Function of a space's `params` or `flops`; one object each, so that it is compiled once."""

    def scores(key: Key, archs: jax.Array) -> jax.Array:
        del key
        # Float32, as all scores: counts above 2^24 are rounded.
        counts: jax.Array = jax.vmap(getattr(space, name))(archs)
        return counts.astype(jnp.float32)

    return scores

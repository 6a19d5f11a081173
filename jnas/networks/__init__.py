"""Image networks of the spaces; the architecture is an input: `apply(params, arch, images)`."""

from collections.abc import Callable
from typing import Any

from jnas import _renamed, _shown
from jnas.engine.messages import nearest
from jnas.networks._factories import settings_of
from jnas.networks.darts import darts, nasbench301
from jnas.networks.nasbench101 import nasbench101
from jnas.networks.nasbench201 import nasbench201
from jnas.networks.nasbench_macro import nasbench_macro
from jnas.networks.nats_size import nats_size
from jnas.networks.nb1shot1 import nb1shot1
from jnas.networks.nds import nds_resnet, nds_resnext_a, nds_resnext_b, nds_vanilla
from jnas.networks.nds_cells import amoebanet, enas, nasnet, pnas
from jnas.networks.statistics import (
    Statistics,
    initial_statistics,
    moments,
    with_moments,
    with_statistics,
    without_moments,
)
from jnas.networks.weights import kernels
from jnas.types import Network

_FACTORIES: dict[str, Callable[..., Network]] = {
    "amoebanet": amoebanet,
    "darts": darts,
    "enas": enas,
    "nasbench101": nasbench101,
    "nasbench201": nasbench201,
    "nasbench301": nasbench301,
    "nasbench_macro": nasbench_macro,
    "nasnet": nasnet,
    "nats_size": nats_size,
    "nb1shot1": nb1shot1,
    "nds_resnet": nds_resnet,
    "nds_resnext_a": nds_resnext_a,
    "nds_resnext_b": nds_resnext_b,
    "nds_vanilla": nds_vanilla,
    "pnas": pnas,
}
NAMES = tuple(_FACTORIES)


def by_name(name: str, **settings: Any) -> Network:
    """Reference network of the space `name`, with the defaults of its factory but for `settings`.

    Raises:
        ValueError: that space has no network; the message lists those that have one. And as the
            factory.
    """
    if name not in NAMES:
        raise ValueError(f"no image network for the space {name!r} yet. {nearest(name, NAMES)}")
    return _FACTORIES[name](**settings)


def settings(network: Network) -> tuple[str, dict[str, Any]]:
    """Name and settings by which `by_name` makes a network again.

    Raises:
        ValueError: none of the factories here has made it.
    """
    found = settings_of(network)
    if found is None or found[0] not in NAMES:
        raise ValueError(
            f"{network} was not made by jnas.networks; files can only name those that were"
        )
    return found


__all__ = [
    "NAMES",
    "Statistics",
    "amoebanet",
    "by_name",
    "darts",
    "enas",
    "initial_statistics",
    "kernels",
    "moments",
    "nasbench101",
    "nasbench201",
    "nasbench301",
    "nasbench_macro",
    "nasnet",
    "nats_size",
    "nb1shot1",
    "nds_resnet",
    "nds_resnext_a",
    "nds_resnext_b",
    "nds_vanilla",
    "pnas",
    "settings",
    "with_moments",
    "with_statistics",
    "without_moments",
]

_renamed.suggest_names(__name__)

# For completion.
__dir__ = _shown.public(__name__)

"""Search spaces: vectors, moves, identity, costs and strings. Each function returns a `Space`."""

from collections.abc import Callable

from jnas import _renamed, _shown
from jnas.engine.messages import nearest
from jnas.spaces._common import simple_graph
from jnas.spaces.conversions import (
    nasbench101_from_naslib,
    nasbench101_to_naslib,
    nasbench201_from_genotype,
    nasbench201_from_matrix,
    nasbench201_from_naslib,
    nasbench201_to_genotype,
    nasbench201_to_matrix,
    nasbench201_to_naslib,
    nasbench301_from_config,
    nasbench301_to_config,
)
from jnas.spaces.darts import darts, nasbench301
from jnas.spaces.mnasnet import mnasnet
from jnas.spaces.nasbench101 import from_matrix as nasbench101_from_matrix
from jnas.spaces.nasbench101 import nasbench101
from jnas.spaces.nasbench101 import prune as nasbench101_prune
from jnas.spaces.nasbench101 import to_matrix as nasbench101_to_matrix
from jnas.spaces.nasbench101 import widths as nasbench101_widths
from jnas.spaces.nasbench201 import nasbench201
from jnas.spaces.nasbench_macro import nasbench_macro
from jnas.spaces.nats_size import nats_size
from jnas.spaces.nb1shot1 import chained as nb1shot1_chained
from jnas.spaces.nb1shot1 import nb1shot1
from jnas.spaces.nb1shot1 import to_nasbench101 as nb1shot1_to_nasbench101
from jnas.spaces.nds import from_record as nds_from_record
from jnas.spaces.nds import nds_resnet, nds_resnext_a, nds_resnext_b, nds_vanilla
from jnas.spaces.nds import to_record as nds_to_record
from jnas.spaces.nds_cells import amoebanet, enas, nasnet, pnas
from jnas.spaces.product import product
from jnas.spaces.spikenas_bench import spikenas_bench
from jnas.spaces.transnas_macro import transnas_macro
from jnas.spaces.transnas_micro import transnas_micro
from jnas.types import Space

# `benchmarks._guess` reads the order: of spaces that fit a file, the last one counts by its strings
# (SpikeNAS-Bench's are a special case of NAS-Bench-201's) and the first one by its vectors (where
# that one has a text form and a usual column).
_FACTORIES: dict[str, Callable[..., Space]] = {
    "nasbench101": nasbench101,
    "nasbench201": nasbench201,
    "nats_size": nats_size,
    "nb1shot1": nb1shot1,
    "spikenas_bench": spikenas_bench,
    "nds_resnet": nds_resnet,
    "nds_resnext_a": nds_resnext_a,
    "nds_resnext_b": nds_resnext_b,
    "nds_vanilla": nds_vanilla,
    "nasbench_macro": nasbench_macro,
    "transnas_macro": transnas_macro,
    "transnas_micro": transnas_micro,
    "nasbench301": nasbench301,
    "darts": darts,
    "enas": enas,
    "nasnet": nasnet,
    "amoebanet": amoebanet,
    "pnas": pnas,
    "mnasnet": mnasnet,
}
NAMES = tuple(_FACTORIES)


def by_name(name: str) -> Space:
    """`Space` of that name with its default options; ValueError lists the valid names."""
    if name not in _FACTORIES:
        raise ValueError(f"unknown space {name!r}. {nearest(name, NAMES)}")
    return _FACTORIES[name]()


__all__ = [
    "NAMES",
    "amoebanet",
    "by_name",
    "darts",
    "enas",
    "mnasnet",
    "nasbench101",
    "nasbench101_from_matrix",
    "nasbench101_from_naslib",
    "nasbench101_prune",
    "nasbench101_to_matrix",
    "nasbench101_to_naslib",
    "nasbench101_widths",
    "nasbench201",
    "nasbench201_from_genotype",
    "nasbench201_from_matrix",
    "nasbench201_from_naslib",
    "nasbench201_to_genotype",
    "nasbench201_to_matrix",
    "nasbench201_to_naslib",
    "nasbench301",
    "nasbench301_from_config",
    "nasbench301_to_config",
    "nasbench_macro",
    "nasnet",
    "nats_size",
    "nb1shot1",
    "nb1shot1_chained",
    "nb1shot1_to_nasbench101",
    "nds_from_record",
    "nds_resnet",
    "nds_resnext_a",
    "nds_resnext_b",
    "nds_to_record",
    "nds_vanilla",
    "pnas",
    "product",
    "simple_graph",
    "spikenas_bench",
    "transnas_macro",
    "transnas_micro",
]

_renamed.suggest_names(__name__)

# For completion.
__dir__ = _shown.public(__name__)

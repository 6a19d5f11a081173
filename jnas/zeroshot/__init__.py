"""Estimators without training (`types.Estimator`), by scores of untrained networks."""

from jnas import _renamed, _shown
from jnas.zeroshot.estimators import (
    epe_nas,
    fisher,
    flops,
    grad_norm,
    grasp,
    jacob_cov,
    l2_norm,
    linear_regions,
    naswot,
    ntk_condition,
    params,
    plain,
    relu_count,
    snip,
    swap,
    synflow,
    zen,
    zico,
)
from jnas.zeroshot.hamming import hamming_kernel, log_determinant
from jnas.zeroshot.suite import NAMES, PROXIES, by_name, needs_labels, suite
from jnas.zeroshot.vote import majority, mean_rank, vote

__all__ = [
    "NAMES",
    "PROXIES",
    "by_name",
    "epe_nas",
    "fisher",
    "flops",
    "grad_norm",
    "grasp",
    "hamming_kernel",
    "jacob_cov",
    "l2_norm",
    "linear_regions",
    "log_determinant",
    "majority",
    "mean_rank",
    "naswot",
    "needs_labels",
    "ntk_condition",
    "params",
    "plain",
    "relu_count",
    "snip",
    "suite",
    "swap",
    "synflow",
    "vote",
    "zen",
    "zico",
]

# A spelling of before: it warns, and goes on working.
__getattr__ = _renamed.attributes(__name__, single="by_name")

# For completion.
__dir__ = _shown.public(__name__)

"""Predictors: estimators learned from (architecture, accuracy) pairs.

A factory takes a space and settings and returns a `types.Predictor`:
`state = predictor.fit(key, archs, targets)`, then `predictor.predict(state, archs)` or an
`estimator`. Seeds and training sets are an axis of `predictor.fit_many`, with evaluation on the
way, progress and checkpoints. Targets are accuracies in any unit, higher is better; `transfer` is
for predictors of a cost, such as the latency on a device.

Ning et al., "A Generic Graph-based Neural Architecture Encoding Scheme for Predictor-based NAS",
ECCV 2020 (`gates`, `gcn`, `mlp`, `lstm`); Xu et al., "ReNAS", CVPR 2021 (`renas`); Deng et al.,
"Peephole", 2017; Alshubaily, 2019 (`rnn_classifier`).
"""

from jnas import _renamed, _shown
from jnas.predictors.biflow import biflow
from jnas.predictors.calibration import calibrate
from jnas.predictors.comparator import ranks_by_comparison
from jnas.predictors.e2epp import e2epp
from jnas.predictors.ensemble import Members, by_name, ensemble, mean_ranks, member_scores, spread
from jnas.predictors.many import Evaluation, Fitted, measure, state
from jnas.predictors.recipes import (
    FACTORIES,
    gates,
    gcn,
    lstm,
    mlp,
    peephole,
    renas,
    rnn_classifier,
)
from jnas.predictors.saved import estimator, load, save
from jnas.predictors.training import Training
from jnas.predictors.transfer import transfer

# BiFlow is made of `recipes`, which therefore cannot list it.
FACTORIES["biflow"] = biflow
FACTORIES["e2epp"] = e2epp
NAMES = tuple(FACTORIES)

__all__ = [
    "NAMES",
    "Evaluation",
    "Fitted",
    "Members",
    "Training",
    "biflow",
    "by_name",
    "calibrate",
    "e2epp",
    "ensemble",
    "estimator",
    "gates",
    "gcn",
    "load",
    "lstm",
    "mean_ranks",
    "measure",
    "member_scores",
    "mlp",
    "peephole",
    "ranks_by_comparison",
    "renas",
    "rnn_classifier",
    "save",
    "spread",
    "state",
    "transfer",
]

__getattr__ = _renamed.attributes(__name__, lenet="renas")

# For completion.
__dir__ = _shown.public(__name__)

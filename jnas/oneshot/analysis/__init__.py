"""Analyses of scores against true accuracies: arrays in, arrays out; no supernet is known here.

Ning et al., "Evaluating Efficient Performance Estimators of Neural Architectures", NeurIPS 2021.
"""

from jnas import _shown
from jnas.oneshot.analysis.averages import (
    Forgetting,
    class_means,
    forgetting,
    forgetting_values,
    running_means,
)
from jnas.oneshot.analysis.criteria import RATIOS, agreement, average, criteria, stability
from jnas.oneshot.analysis.groups import Groups, by_group, level_groups, quantile_groups
from jnas.oneshot.analysis.mutations import (
    Mutations,
    MutationTable,
    OperationBias,
    mutation_table,
    mutations,
    operation_bias,
)

__all__ = [
    "RATIOS",
    "Forgetting",
    "Groups",
    "MutationTable",
    "Mutations",
    "OperationBias",
    "agreement",
    "average",
    "by_group",
    "class_means",
    "criteria",
    "forgetting",
    "forgetting_values",
    "level_groups",
    "mutation_table",
    "mutations",
    "operation_bias",
    "quantile_groups",
    "running_means",
    "stability",
]

# For completion.
__dir__ = _shown.public(__name__)

"""Estimators by look-up: tables of measured results, their files, simulated cost.

`nasbench101`, `nasbench201` and `spikenas_bench` are the released benchmarks, and
`nasbench101_budgets`, `nasbench201_more` and `hardware` further measurements of their cells;
`nasbench301` and `darts_214` have some cells of a space that `nasbench301_surrogate` answers for.
`nds_resnet` and its like, `nasbench_macro`, `transnas_macro` and `transnas_micro` are read from the
files as they are published; `mnasnet` has trainings on ImageNet. `load` and `save` read and write
tables of your own, and `available` lists what there is. `of_space` and `usual_column` choose a
table and a column of it where nothing else is said. A `Table` turns a column into an estimator or
an objective, and the columns of a learning curve into an objective of several fidelities. Every
column carries its accuracy convention. `within` is the space of the rows of a table that lacks some
of its architectures.
"""

from jnas import _renamed, _shown
from jnas.benchmarks._lookup import nearest_epochs
from jnas.benchmarks._within import within
from jnas.benchmarks.digits201 import digits201
from jnas.benchmarks.files import load, save
from jnas.benchmarks.listing import Source, available, surrogates
from jnas.benchmarks.make import Duplicates, make_table
from jnas.benchmarks.named import (
    darts_214,
    hardware,
    nasbench101,
    nasbench101_budgets,
    nasbench201,
    nasbench201_more,
    nasbench301,
    spikenas_bench,
)
from jnas.benchmarks.released import DATASETS
from jnas.benchmarks.sizes import (
    mnasnet,
    nasbench_macro,
    nds_resnet,
    nds_resnext_a,
    nds_resnext_b,
    nds_vanilla,
    transnas_macro,
    transnas_micro,
)
from jnas.benchmarks.surrogate301 import Surrogate, nasbench301_surrogate
from jnas.benchmarks.table import Table
from jnas.benchmarks.usual import of_space, usual_column

__all__ = [
    "DATASETS",
    "Duplicates",
    "Source",
    "Surrogate",
    "Table",
    "available",
    "darts_214",
    "digits201",
    "hardware",
    "load",
    "make_table",
    "mnasnet",
    "nasbench101",
    "nasbench101_budgets",
    "nasbench201",
    "nasbench201_more",
    "nasbench301",
    "nasbench301_surrogate",
    "nasbench_macro",
    "nds_resnet",
    "nds_resnext_a",
    "nds_resnext_b",
    "nds_vanilla",
    "nearest_epochs",
    "of_space",
    "save",
    "spikenas_bench",
    "surrogates",
    "transnas_macro",
    "transnas_micro",
    "usual_column",
    "within",
]

_renamed.suggest_names(__name__)

# For completion.
__dir__ = _shown.public(__name__)

"""Estimators by look-up: tables of measured results, their files, simulated cost.

`nasbench101`, `nasbench201` and `spikenas_bench` are the released benchmarks. `load` and `save`
read and write tables of your own, and `available` lists what there is. `of_space` and
`usual_column` choose a table and a column of it where nothing else is said. A `Table` turns a
column into an estimator or an objective, and the columns of a learning curve into an objective of
several fidelities. Every column carries its accuracy convention.
"""

from jnas.benchmarks.files import (
    Source,
    available,
    load,
    nasbench101,
    nasbench201,
    save,
    spikenas_bench,
)
from jnas.benchmarks.released import DATASETS
from jnas.benchmarks.table import Table, make_table
from jnas.benchmarks.usual import of_space, usual_column

__all__ = [
    "DATASETS",
    "Source",
    "Table",
    "available",
    "load",
    "make_table",
    "nasbench101",
    "nasbench201",
    "of_space",
    "save",
    "spikenas_bench",
    "usual_column",
]

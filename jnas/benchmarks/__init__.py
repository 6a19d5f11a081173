"""Estimators by look-up: tables of measured results, their files, simulated cost.

`nasbench101`, `nasbench201` and `spikenas_bench` are the released benchmarks, `load` and `save` read and write tables
of your own, `available` lists what there is. A `Table` turns a column into an estimator or an objective, and the
columns of a learning curve into an objective of several fidelities; every column carries its accuracy convention.
"""

from jnas.benchmarks.files import Source, available, load, nasbench101, nasbench201, save, spikenas_bench
from jnas.benchmarks.table import Table, make_table

__all__ = ["Source", "Table", "available", "load", "make_table", "nasbench101", "nasbench201", "save", "spikenas_bench"]

"""Counts and accuracies of NAS-Bench-101 cells by distance and presence of a 3x3 (RNAS, table 5).

Paper: Xu et al., "ReNAS: Relativistic Evaluation of Neural Architecture Search", arXiv
    1910.01523v1, Table 5.
Command: python -m experiments.renas_table5
Cost: 10 seconds. The counts need no data; the accuracies need nasbench101.npz in $JNAS_DATA.
Expected: every number of the table.

Distance is the number of edges of the shortest path from the input to the output.
"""

from typing import NamedTuple


class Row(NamedTuple):
    """One row of the paper's table; accuracies are mean test accuracies in %."""

    has_conv3x3: bool
    distance: int
    num_cells: int
    best: float
    mean: float


PAPER = (
    Row(True, 1, 68_552, 94.32, 91.97),
    Row(True, 2, 153_056, 94.05, 91.02),
    Row(True, 3, 110_863, 93.68, 89.31),
    Row(True, 4, 27_227, 92.36, 87.40),
    Row(True, 5, 2_516, 90.54, 86.51),
    Row(True, 6, 211, 88.87, 84.91),
    Row(False, 1, 12_468, 91.62, 88.40),
    Row(False, 2, 26_282, 90.81, 86.69),
    Row(False, 3, 17_735, 90.24, 83.53),
    Row(False, 4, 4_282, 88.95, 80.20),
    Row(False, 5, 400, 88.16, 78.84),
    Row(False, 6, 32, 86.71, 74.93),
)

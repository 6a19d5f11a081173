"""Accuracies that searches of NAS-Bench-201 find in 12,000 simulated seconds (NASWOT, table 2).

Paper: Mellor et al., "Neural Architecture Search without Training", ICML 2021, table 2 (a); its
    rows REA, RS and REINFORCE are those of Dong and Yang, "NAS-Bench-201", ICLR 2020.
Command: python -m experiments.naswot_table2 scores, once, for the rows NASWOT and AREA; then
    python -m experiments.naswot_table2; and python -m experiments.naswot_table2 size FILE for table
    2 (b), with a table of NATS-Bench's size space.
Cost: the NASWOT scores of all 15,625 cells 35 to 90 minutes on 2 CPU cores, the rest 3 minutes.
Expected: CIFAR-10 means of REA, RS and REINFORCE within one of the paper's standard deviations;
    AREA at least as good as REA on CIFAR-100 and ImageNet16-120.

This is the half of table 2 (a) without shared weights. Every search is on CIFAR-10: on the
validation accuracy of the 12-epoch schedule, at 12/200 of the seconds of training for 200 epochs.
The answer is the best cell that was evaluated; six accuracies of it after 200 epochs are reported,
each a mean over its seeds. The rows "Optimal" have the best of N cells in each of the six columns
for itself, which the paper does not say but its numbers do. A cell has one score, of one mini-batch
and one set of weights; the paper has a mini-batch for each run. AREA pays for its 20 scores what
the paper's table says they cost, 6 seconds.

The sweep has other conventions: accuracies to search on, ways to count the budget (the paper also
charges a pass over the validation images, whose cost is not in the table and here taken for a third
of an epoch), and the learning rates of REINFORCE: the documented command of NAS-Bench-201 has 0.5,
NATS-Bench has 0.01.

BOHB asks for 22, 66 or 200 epochs, pays for as many, and is told the accuracy after 200: the
published convention. Some 20 evaluations fit into the budget.

Table 2 (b) searches the size space (Dong et al., "NATS-Bench", TPAMI 2021) on each data set for
itself: on the validation accuracy after 12 epochs, the last evaluation counted, and reports
accuracies after 90 epochs. Its file is a table of `jnas.benchmarks.load` with columns `val12_D`,
`seconds12_D`, `val90_D` and `test90_D` for D in c10, c100 and in16. Its BOHB, which needs
accuracies after 1 and 4 epochs, and NASWOT, which needs networks of that space, are left out.
"""

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

SCORES = "naswot"

# Mean and standard deviation of each reported column.
NONE = float("nan")
PAPER: dict[str, tuple[float, ...]] = {
    "REA": (91.19, 0.31, 93.92, 0.30, 71.81, 1.12, 71.84, 0.99, 45.15, 0.89, 45.54, 1.03),
    "RS": (90.93, 0.36, 93.70, 0.36, 70.93, 1.09, 71.04, 1.07, 44.45, 1.10, 44.57, 1.25),
    "REINFORCE": (91.09, 0.37, 93.85, 0.37, 71.61, 1.12, 71.71, 1.09, 45.05, 1.02, 45.24, 1.18),
    "BOHB": (90.82, 0.53, 93.61, 0.52, 70.74, 1.29, 70.85, 1.28, 44.26, 1.36, 44.42, 1.49),
    "AREA": (91.20, 0.27, NONE, NONE, 71.95, 0.99, NONE, NONE, 45.70, 1.05, NONE, NONE),
    "NASWOT (N=10)": (89.14, 1.14, 92.44, 1.13, 68.50, 2.03, 68.62, 2.04, 41.09, 3.97, 41.31, 4.11),
    "NASWOT (N=100)": (
        89.55,
        0.89,
        92.81,
        0.99,
        69.35,
        1.70,
        69.48,
        1.70,
        42.81,
        3.05,
        43.10,
        3.16,
    ),
    "NASWOT (N=1000)": (
        89.69,
        0.73,
        92.96,
        0.81,
        69.86,
        1.21,
        69.98,
        1.22,
        43.95,
        2.05,
        44.44,
        2.10,
    ),
    "Random": (83.20, 13.28, 86.61, 13.46, 60.70, 12.55, 60.83, 12.58, 33.34, 9.39, 33.13, 9.66),
    "Optimal (N=10)": (
        89.92,
        0.75,
        93.06,
        0.59,
        69.61,
        1.21,
        69.76,
        1.25,
        43.11,
        1.85,
        43.30,
        1.87,
    ),
    "Optimal (N=100)": (
        91.05,
        0.28,
        93.84,
        0.23,
        71.45,
        0.79,
        71.56,
        0.78,
        45.37,
        0.61,
        45.67,
        0.64,
    ),
}


class Search(NamedTuple):
    """A row of the table: one search.

    Attributes:
        strategy: of `jnas.search`; "area" starts with the NASWOT scores.
        settings: its keyword arguments, and for REINFORCE the "learning_rate" of Adam.
        column: what is searched on: a column of the table, or `SCORES`. With "{reported}" or
            "{dataset}" in it, there is a search for each reported column or data set.
        num_evaluations: evaluations; with `max_seconds` more than they allow.
        max_seconds: simulated seconds, None for no such budget.
        overrun: what becomes of the evaluation that crosses it.
        seconds: the column of costs, likewise.
        cost_epochs: 200 charges a query for fewer epochs its share of a training; None a training
            of 12 epochs.
        paper: the row of the paper to compare with; by default of the same name.
    """

    strategy: str
    settings: dict[str, Any]
    column: str = "val12_c10"
    num_evaluations: int = 400
    max_seconds: float | None = 12_000.0
    overrun: Literal["discarded", "counted"] = "discarded"
    seconds: str = "seconds12_c10"
    cost_epochs: int | None = None
    paper: str = ""


def _best_of(num: int, column: str, paper: str = "") -> Search:
    """A row that takes the best of random cells."""
    return Search("random_search", {}, column, num, None, paper=paper)


REA = Search("regularized_evolution", {}, paper="REA")
RS = Search("random_search", {}, paper="RS")
# As published: whatever the epochs of a rung, the score is that of the whole training.
BOHB = Search("bohb", {}, "val200_c10", seconds="seconds200_c10", cost_epochs=200, paper="BOHB")
REINFORCE = Search("reinforce", {"learning_rate": 0.01}, paper="REINFORCE")


@dataclass(frozen=True)
class Config:
    """Settings of the experiment.

    Attributes:
        name: of the result.
        space: of the table.
        title: of the picture.
        paper: row → mean and standard deviation of each reported column.
        reported: columns of the table.
        rows, sweep: label → search.
        num_runs: of each.
        seed: everything random follows from it.
        num_images: of the mini-batch that the scores are from.
    """

    name: str = "naswot_table2"
    space: str = "nasbench201"
    title: str = "CIFAR-10 on NAS-Bench-201: searches on 12-epoch accuracy"
    paper: dict[str, tuple[float, ...]] = field(default_factory=lambda: dict(PAPER))
    reported: tuple[str, ...] = (
        "val200_c10",
        "test200_c10",
        "val200_c100",
        "test200_c100",
        "val200_in16",
        "test200_in16",
    )
    rows: dict[str, Search] = field(
        default_factory=lambda: {
            "REA": REA,
            "RS": RS,
            "REINFORCE": REINFORCE,
            "BOHB": BOHB,
            "AREA": Search("area", {}, max_seconds=11_994.0),
            "NASWOT (N=10)": _best_of(10, SCORES),
            "NASWOT (N=100)": _best_of(100, SCORES),
            "NASWOT (N=1000)": _best_of(1000, SCORES),
            "Random": _best_of(1, "val200_c10"),
            "Optimal (N=10)": _best_of(10, "{reported}"),
            "Optimal (N=100)": _best_of(100, "{reported}"),
        }
    )
    sweep: dict[str, Search] = field(
        default_factory=lambda: {
            "REA, with a validation pass": REA._replace(max_seconds=12_000 / (1 + 1 / 36)),
            "REA, last evaluation counted": REA._replace(overrun="counted"),
            "REA, on 200 epochs": REA._replace(column="val200_c10"),
            "REA, on 200 epochs of one seed": REA._replace(column="val200_seed0_c10"),
            "REA, sample without replacement": REA._replace(
                settings={"tournament": "without_replacement"}
            ),
            "RS, with a validation pass": RS._replace(max_seconds=12_000 / (1 + 1 / 36)),
            "RS, last evaluation counted": RS._replace(overrun="counted"),
            "RS, on 200 epochs": RS._replace(column="val200_c10"),
            "RS, on 200 epochs of one seed": RS._replace(column="val200_seed0_c10"),
            "REINFORCE, rate 0.1": REINFORCE._replace(settings={"learning_rate": 0.1}),
            "REINFORCE, rate 0.2": REINFORCE._replace(settings={"learning_rate": 0.2}),
            "REINFORCE, rate 0.5": REINFORCE._replace(settings={"learning_rate": 0.5}),
            "REINFORCE, on 200 epochs": REINFORCE._replace(column="val200_c10"),
            "BOHB, kernels three times as wide": BOHB._replace(settings={"bandwidth_factor": 3.0}),
            "BOHB, every query a training of 12 epochs": Search(
                "bohb", {}, "val200_c10", paper="BOHB"
            ),
            "BOHB, the same, on 12 epochs": Search("bohb", {}, paper="BOHB"),
            "Optimal (N=10), by CIFAR-10 validation": _best_of(10, "val200_c10", "Optimal (N=10)"),
            "Optimal (N=100), by CIFAR-10 validation": _best_of(
                100, "val200_c10", "Optimal (N=100)"
            ),
        }
    )
    num_runs: int = 500
    seed: int = 0
    num_images: int = 128


CONFIG = Config()
# As small as it runs.
QUICK = dataclasses.replace(
    CONFIG, rows={label: CONFIG.rows[label] for label in ("REA", "RS")}, sweep={}, num_runs=5
)

_EACH: dict[str, Any] = {
    "column": "val12_{dataset}",
    "seconds": "seconds12_{dataset}",
    "overrun": "counted",
}
SIZE = Config(
    name="naswot_table2b",
    space="nats_size",
    title="CIFAR-10 on NATS-Bench's size space: searches on 12-epoch accuracy",
    paper={
        "REA": (90.37, 0.20, 93.22, 0.16, 70.23, 0.50, 70.11, 0.61, 45.30, 0.69, 45.54, 0.92),
        "RS": (90.10, 0.26, 93.03, 0.25, 69.57, 0.57, 69.72, 0.61, 45.01, 0.74, 45.42, 0.86),
        "REINFORCE": (90.25, 0.23, 93.16, 0.21, 69.84, 0.59, 69.96, 0.57, 45.06, 0.77, 45.24, 1.18),
    },
    reported=("val90_c10", "test90_c10", "val90_c100", "test90_c100", "val90_in16", "test90_in16"),
    rows={
        "REA": REA._replace(**_EACH),
        "RS": RS._replace(**_EACH),
        "REINFORCE": REINFORCE._replace(**_EACH),
    },
    sweep={},
)

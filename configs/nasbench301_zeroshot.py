"""Kendall tau of scores of untrained networks on cells of DARTS and NAS-Bench-301.

Paper: Mellor et al., "Neural Architecture Search without Training", ICML 2021, figures 1 and 3, on
    another space; Ning et al., "Evaluating Efficient Performance Estimators of Neural
    Architectures", NeurIPS 2021, https://arxiv.org/abs/2008.03064: tau of GraSP .333, plain -.373
    (they rank by its negative) and SynFlow .197 over 5,468 cells; NASLib's NASWOT has a Spearman
    correlation of .555 on 1,218 cells, which is a tau of about .39.
Command: python -m experiments.nasbench301_zeroshot, or with the names of some of the jobs
Cost: an hour of a CPU, and nasbench301_ose.npz, darts_214.npz and cifar10_4000.npz in $JNAS_DATA.
Expected: NASWOT ranks the cells of the surrogate with a tau of .36 or more, and the trained cells,
    whose accuracies differ by little more than those of two trainings of one, with less.
    Seen: .544 where #params have .484, and .220 of the trained cells where #params have .140; the
    kernels of the best cells are the darkest. GraSP, plain and SynFlow are within .04 of the
    published taus on 200 cells, whose standard error is .05; above #params there are only NASWOT,
    SWAP, the number of ReLUs and the norm of the weights.

Networks that are scored have 16 channels and 8 cells. The truth of the first cells is what the
official surrogate predicts of networks of 32 channels and 8 cells, that of the others one training
each of networks of 36 channels and 20 cells. Cells of the first table are in groups of neighbours;
those here are drawn from all of it. The supernet is that of Ning et al. after 1,000 epochs, seed
20, whose accuracies of three cells in ten are not known.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Job:
    """Scores of some cells of a table.

    Attributes:
        names: of `zeroshot.NAMES`, from one suite.
        table: name of the function of `jnas.benchmarks`.
        num_cells: the first of a random order of the table's rows.
        num_images: size of the mini-batch.
        channels: of the network of 8 cells that is scored.
    """

    names: tuple[str, ...]
    table: str = "nasbench301"
    num_cells: int = 200
    num_images: int = 64
    channels: int = 16


COLUMNS = {"nasbench301": "val_accuracy", "darts_214": "test_accuracy"}
ONE_SHOT = "oneshot_accuracy1000_seed20"  # of the first table, beside the scores
PUBLISHED = {"naswot": 0.39, "grasp": 0.333, "plain": -0.373, "synflow": 0.197}
NUM_KERNELS = 8  # of figure 1, from the worst cell to the best
LAYERS = 8
SEED = 0

JOBS = {
    "naswot": Job(("naswot",), num_cells=500, num_images=128),
    "naswot_trained": Job(("naswot",), "darts_214", 214, num_images=128),
    "gradients": Job(("plain", "snip", "grad_norm", "fisher", "swap", "relu_count", "l2_norm")),
    "synflow": Job(("synflow",)),
    "grasp": Job(("grasp",)),
    "jacobians": Job(("jacob_cov", "epe_nas")),
    "zen": Job(("zen",)),
}
# As small as it runs.
QUICK = {
    "naswot": Job(("naswot",), num_cells=3, num_images=4, channels=2),
    "naswot_trained": Job(("naswot",), "darts_214", 3, num_images=4, channels=2),
}

"""One-shot estimators as their authors stored them: criteria, biases, stability of every score.

Paper: Ning et al., "Evaluating Efficient Performance Estimators of Neural Architectures", NeurIPS
    2021, figures 5 to 7, 11, 12 and 14, tables 3 and 4; numbers from its supplementary material.
Command: python -m experiments.oneshot_published
Cost: 3 minutes on two CPU cores, and nasbench301_ose.npz, nb1shot1_s3.npz, nds_resnexta.npz,
    nds_resnexta_ose.npz, nasbench201_ose.npz, nasbench201.npz, nasbench101.npz and
    oneshot_curves.npz in $JNAS_DATA.
Expected: every published number to .02, from the scores that are stored. Scores of 30 % of the
    architectures of NAS-Bench-301, NAS-Bench-1Shot1 and ResNeXt-A are not, so that ours are of the
    others; the standard error that comes from those left out stands beside the rank differences.

tau = Kendall's tau-b; a score is one-shot accuracy, or −loss, on 10,000 validation images. Rank
differences are divided by the number of architectures, and positive where a group is overestimated.
"""

from typing import NamedTuple


class Published(NamedTuple):
    """Published numbers of one row, in the order of the row.

    Attributes:
        what: the row, as it stands on the page.
        values: one number or several.
    """

    what: str
    values: tuple[float, ...]


TOLERANCE = 0.02
GROUPS = 5  # of FLOPs
DROPS = 20  # random subsets of the scored cells, for the standard errors

# Of each space, what "published" is beside: tau at the checkpoints 100, 200, … 1,000 and so on.
NASBENCH301 = (
    Published(
        "tau of accuracy, epochs 100, 200, … 1,000",
        (0.023, 0.110, 0.097, 0.093, 0.225, 0.272, 0.302, 0.320, 0.354, 0.362),
    ),
    Published(
        "tau of −loss, epochs 100, 200, … 1,000",
        (0.097, 0.170, 0.124, 0.155, 0.266, 0.325, 0.386, 0.426, 0.477, 0.495),
    ),
    Published("tau of the mean accuracy and −loss of three supernets", (0.375, 0.515)),
    Published("tau of #params and FLOPs", (0.515, 0.487)),
    Published(
        "relative tau of −loss between checkpoints 100 epochs apart",
        (0.42, 0.59, 0.59, 0.61, 0.75, 0.77, 0.83, 0.83, 0.89),
    ),
    Published("tau of accuracy between seeds, epoch 1,000, lowest and highest", (0.75, 0.77)),
    Published("tau of −loss between seeds, epoch 1,000, lowest and highest", (0.77, 0.81)),
    Published(
        "mean rank difference by fifths of FLOPs, accuracy", (-0.038, 0.019, 0.013, 0.001, 0.006)
    ),
    Published("tau inside fifths of FLOPs, accuracy", (0.195, 0.073, 0.118, 0.000, 0.030)),
    Published("tau inside fifths of FLOPs, −loss", (0.30, 0.24, 0.31, 0.25, 0.32)),
)
NB1SHOT1_S3 = (
    Published(
        "tau of accuracy, epochs 100, 200, 400, 600, 1,000", (0.371, 0.405, 0.390, 0.374, 0.374)
    ),
    Published("tau of #params as printed, and of NAS-Bench-101's", (0.274, 0.509)),
)
RESNEXTA = (
    Published("tau of accuracy and −loss, first channels", (0.7195, 0.6986)),
    Published("tau of accuracy and −loss, channels of largest norm", (0.6731, 0.6486)),
    Published("tau of #params and FLOPs", (0.668, 0.479)),
    Published("P@top 5 % and P@bottom 5 % of accuracy, first channels", (0.457, 0.718)),
)
NASBENCH201 = (
    Published("tau of #params: class means, own accuracy, all 15,625", (0.605, 0.6085, 0.576)),
    Published("tau at epoch 1,000: accuracy, −loss (stored criteria)", (0.744, 0.731)),
)
ZEROSHOT = {
    # Tau at 5 batches of 128 images, mean of three seeds of the initial weights.
    "grasp": 0.333,
    "plain": -0.373,
    "synflow": 0.197,
    "jacob_cov": 0.098,
    "grad_norm": 0.057,
    "snip": 0.039,
    "fisher": -0.167,
    "synflow_bn": -0.100,
    "vote": -0.06,
}
TRAINING = {
    # Mean loss and accuracy of the sampled networks over an epoch; the seed is the first one.
    "nb201": {
        1: (2.284, 0.126), 10: (2.071, 0.211), 40: (1.805, 0.308), 100: (1.634, 0.390),
        200: (1.430, 0.480), 400: (1.157, 0.593), 600: (0.836, 0.708), 800: (0.668, 0.767),
        1000: (0.576, 0.802),
    },
    "nb301": {
        10: (1.938, 0.256), 40: (1.238, 0.555), 100: (0.961, 0.664), 200: (0.807, 0.721),
        400: (0.752, 0.742), 600: (0.368, 0.873), 1000: (0.232, 0.918),
    },
    "resnexta": {100: (1.057, 0.619), 400: (0.668, 0.765), 1000: (0.431, 0.849)},
}  # fmt: skip
SKIP_TO_DIL3 = (0.390, 2336, 0.949)
"""Of the mutations skip → dilated 3x3 on NAS-Bench-301: accuracy rises, pairs, estimate rises."""

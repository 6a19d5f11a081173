"""One-shot scores of NAS-Bench-301 and NDS as stored: figures 7, 11, 12, 14, 15 and what is left.

Paper: Ning et al., "Evaluating Efficient Performance Estimators of Neural Architectures", NeurIPS
    2021, https://arxiv.org/abs/2008.03064, figures 7, 8, 11, 12, 14, 15, 17 and 18, and the numbers
    of ReLU layers of its zero-shot part; numbers from its supplementary material.
Command: python -m experiments.oneshot_spaces
Cost: a minute of a CPU, and nasbench301_ose.npz, nds_resnet.npz, nds_resnexta.npz,
    nds_resnexta_ose.npz and oneshot_curves.npz in $JNAS_DATA.
Expected: on NAS-Bench-301 means of several checkpoints change less from one to the next, and rank
    no better; the largest networks of ResNeXt-A are underestimated.
    Seen: it is depth that is underestimated there; of widths the least and the largest, by less.

Scores of 30 % of the architectures are not stored: found numbers are of the others. A bias is the
change of the rank difference, divided by the number of networks, that one stage more with this
choice makes beside the mean of the choices (least squares over all networks).
"""

from configs.oneshot_published import Published

NUM = (1, 3, 5)  # checkpoints, 100 epochs apart, whose scores are averaged
GROUPS = 5  # of #params and FLOPs
DECISIONS = {
    "depth": "depths",
    "width": "widths",
    "bottleneck ratio": "bottleneck_ratio",
    "groups": "groups",
}  # of a stage of ResNeXt-A, as the file calls them

WORST_RANK = Published(
    "7: NAS-Bench-301, worst rank@5 % by accuracy, epochs 200, 600, 1,000", (0.9866, 0.8922, 0.9167)
)
WORST_RANK_LOSS = Published(
    "7: NAS-Bench-301, worst rank@5 % by −loss, epochs 200, 600, 1,000", (0.9796, 0.9302, 0.8153)
)
TOP = Published("14: relative P@top .5 % of accuracy, epochs 900 → 1,000", (0.46,))
"""Read off the text, which says "about"."""

LEFT = (
    (
        "8: criteria by the number of validation batches; tau inside levels",
        "scores by batch; those stored are means over all 10,000 images. On digits201: "
        "[oneshot_batches](oneshot_batches.md)",
    ),
    (
        "17: pruning by a controller on NAS-Bench-301",
        "a supernet whose training a controller guides: no scores of one are stored",
    ),
    (
        "18: batch norms with scales on NAS-Bench-301",
        "scores of a supernet with scales: those stored are without. On digits201: "
        "[oneshot_supernets](oneshot_supernets.md)",
    ),
    (
        "5, 11, 14, 15: NDS ResNet, and ResNeXt-A before epoch 1,000",
        "one-shot scores: of ResNet none are stored, of ResNeXt-A those of one seed at the end",
    ),
    (
        "zero-shot: scores of single cells of NAS-Bench-301, any on NDS",
        "the scores: criteria alone are stored, and of NDS nothing",
    ),
)

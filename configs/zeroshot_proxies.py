"""Correlations of every score of untrained networks with trained accuracies.

Papers: Abdelfattah et al., "Zero-Cost Proxies for Lightweight NAS", ICLR 2021 (|Spearman| over all
    cells, from the notebook that accompanies it); Ning et al., "Evaluating Efficient Performance
    Estimators of Neural Architectures", NeurIPS 2021 (Kendall tau .61 of jacob_cov, .57 of synflow,
    .61 of parameters on NAS-Bench-201).
Command: python -m experiments.zeroshot_proxies scores, then python -m experiments.zeroshot_proxies
    Of NAS-Bench-101 with the argument nasbench101 besides.
Cost: 1,000 cells of NAS-Bench-201, 64 CIFAR-10 images, 20 scores: 40 to 60 minutes on 2 CPU cores;
    500 of NAS-Bench-101 about 20.
Expected: |Spearman| of each published proxy on NAS-Bench-201 within .05 of the published value, on
    CIFAR-10. The other columns were published with images and classes of their own;
    configs/zeroshot_conventions.py says what that changes, and why NAS-Bench-101 differs.
"""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Config:
    """Settings of the experiment.

    Attributes:
        space: whose network is scored; that of nasbench101 has 16 channels, as for NASWOT.
        num_archs: distinct cells, drawn at random from the table.
        num_images: size of the mini-batch.
        network: its arguments; `affine=False` is the convention of the published proxies.
        names: of `zeroshot.NAMES`.
        seed: everything random follows from it.
        columns: columns of the table to compare with.
        published: score → |Spearman| with each of the columns.
        votes: experts of each vote.
    """

    space: str
    num_archs: int
    num_images: int
    names: tuple[str, ...]
    columns: tuple[str, ...]
    network: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    published: dict[str, tuple[float, ...]] = field(default_factory=dict)
    votes: tuple[tuple[str, ...], ...] = (
        ("synflow", "jacob_cov", "snip"),
        ("relu_logdet", "jacob_cov", "synflow"),
    )


# Where each score was proposed.
PAPERS = {
    "grad_norm": "Abdelfattah et al., ICLR 2021",
    "snip": "Lee et al., ICLR 2019",
    "grasp": "Wang et al., ICLR 2020",
    "fisher": "Turner et al., ICLR 2020",
    "plain": "Abdelfattah et al., ICLR 2021",
    "jacob_cov": "Mellor et al., first version, 2020",
    "synflow": "Tanaka et al., NeurIPS 2020",
    "synflow_bn": "Tanaka et al., with batch norm",
    "naswot": "Mellor et al., ICML 2021",
    "relu_logdet": "the same of all ReLUs",
    "relu_count": "Ning et al., NeurIPS 2021",
    "epe_nas": "Lopes et al., ICANN 2021",
    "l2_norm": "Krishnakumar et al., NeurIPS 2022",
    "linear_regions": "Chen et al. (TE-NAS), ICLR 2021",
    "ntk_condition": "Chen et al. (TE-NAS), ICLR 2021",
    "swap": "Peng et al., ICLR 2024",
    "zen": "Lin et al., ICCV 2021",
    "zico": "Li et al., ICLR 2023",
}

_NAMES = (
    *(
        "grad_norm",
        "snip",
        "grasp",
        "fisher",
        "plain",
        "jacob_cov",
        "synflow",
        "naswot",
        "relu_logdet",
        "relu_count",
    ),
    *(
        "epe_nas",
        "l2_norm",
        "params",
        "flops",
        "linear_regions",
        "swap",
        "zen",
        "synflow_bn",
        "ntk_condition",
        "zico",
    ),
)

NASBENCH201 = Config(
    space="nasbench201",
    network={"affine": False},
    num_archs=1000,
    num_images=64,
    names=_NAMES,
    columns=("test200_c10", "test200_c100", "test200_in16"),
    published={
        "grad_norm": (0.594, 0.637, 0.578),
        "snip": (0.596, 0.637, 0.578),
        "grasp": (0.514, 0.547, 0.549),
        "fisher": (0.36, 0.385, 0.327),
        "synflow": (0.737, 0.763, 0.751),
        "jacob_cov": (0.731, 0.704, 0.701),
    },
)

NASBENCH101 = Config(
    space="nasbench101",
    num_archs=500,
    num_images=64,
    names=_NAMES,
    columns=("test_accuracy",),
    published={
        "grad_norm": (0.198,),
        "snip": (0.164,),
        "grasp": (0.448,),
        "fisher": (0.257,),
        "synflow": (0.372,),
        "jacob_cov": (0.378,),
    },
)

CONFIGS = {config.space: config for config in (NASBENCH201, NASBENCH101)}
# As few as they can be correlated.
SMALL: dict[str, Any] = {"num_archs": 8, "num_images": 8}

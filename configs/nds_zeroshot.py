"""Kendall tau of zero-shot scores with accuracies of the sizes of NDS (NASWOT, figures 3 and 4).

Paper: Mellor et al., "Neural Architecture Search without Training", ICML 2021, figures 3 and 4,
    which have the cells of NDS (Radosavovic et al., ICCV 2019) and not its sizes: for these there
    is no published tau. Accuracies are those of NDS: CIFAR-10 test accuracy in % of the best of 100
    epochs, of ResNet the mean of 3 runs, of ResNeXt-A one run.
Command: python -m experiments.nds_zeroshot, or with the name of a space; goes on where it was
    stopped, and from fewer networks to more.
Cost: about 10 minutes of CPU time for ResNet and 17 for ResNeXt-A, most of it for 70 and 80
    programs; of the scores with gradients most of an hour each, some 20 seconds a program.
Expected: of networks that differ in size alone, NASWOT ranks fewer pairs rightly than their numbers
    of parameters do, the baseline that stands beside it. With 150 networks a tau of no correlation
    has a standard error of .055.

Convention: one batch of 128 CIFAR-10 images of 32x32 pixels, networks as they were trained (stem of
16 channels, no ImageNet stem), initial weights that are the first channels and blocks of one draw,
batch norms of the batch, all ReLUs.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Config:
    """Settings of the experiment.

    Attributes:
        spaces: of `benchmarks`, each with a table of 5,000 trained networks.
        num_archs: of the table, drawn without replacement.
        images: source of the mini-batches.
        num_images: size of NASWOT's mini-batch.
        others: further scores, of `zeroshot.NAMES`.
        num_others: architectures that these rank, the first of those drawn.
        num_images_of_others: size of their mini-batch.
        seed: everything random follows from it.
    """

    spaces: tuple[str, ...] = ("nds_resnet", "nds_resnext_a")
    num_archs: int = 150
    images: str = "cifar10"
    num_images: int = 128
    others: tuple[str, ...] = (
        "plain",
        "snip",
        "grad_norm",
        "fisher",
        "synflow",
        "jacob_cov",
        "epe_nas",
        "swap",
        "relu_count",
        "l2_norm",
    )
    num_others: int = 100
    num_images_of_others: int = 32
    seed: int = 0


CONFIG = Config()
# As small as it runs.
QUICK = Config(
    spaces=("nds_resnext_a",),
    num_archs=3,
    images="digits",
    num_images=4,
    others=("relu_count", "l2_norm"),
    num_others=2,
    num_images_of_others=4,
)

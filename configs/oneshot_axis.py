"""Estimators of four kinds on one axis: how well they rank cells by the seconds that they take.

Papers: Ning et al., "Evaluating Efficient Performance Estimators of Neural Architectures", NeurIPS
    2021, https://arxiv.org/abs/2008.03064, tables 3 and 4 (zero-shot scores with the weights of a
    supernet); Ning et al., "A Generic Graph-based Neural Architecture Encoding Scheme", ECCV 2020,
    https://arxiv.org/abs/2004.01899 (GATES).
Command: python -m experiments.oneshot_axis, after python -m experiments.oneshot_supernets, whose
    supernets of digits201 it reads.
Cost: 10 minutes of two cores.
Expected: counts cost nothing and are hard to beat; a supernet pays off where hundreds of cells are
    to be ranked; trained weights make zero-shot scores no better; ranks by a supernet and by an
    untrained score err differently, so that their mean is better than either, at half the training.

All rank the same cells of digits201, whose own network shares its weights, is scored untrained and
was trained: seconds are those to rank all of them, on one core of one machine.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Config:
    """Settings of the experiment.

    Attributes:
        scores: zero-shot scores, of `zeroshot.NAMES`.
        num_images: that they see.
        num_cells: that are ranked; None for all of the supernets' cells.
        train_sizes: trained cells that predictors learn from.
        predictor: of `predictors.by_name`.
        num_fits: of each predictor, with different keys.
        predictor_epochs: of each; None for its own.
        num_seeds: supernets whose weights zero-shot scores see.
    """

    scores: tuple[str, ...] = ("naswot", "jacob_cov", "synflow", "snip", "grad_norm", "zen")
    num_images: int = 64
    num_cells: int | None = None
    train_sizes: tuple[int, ...] = (20, 50, 100, 300)
    predictor: str = "gates"
    num_fits: int = 3
    predictor_epochs: int | None = None
    num_seeds: int = 3


CONFIG = Config()
QUICK = Config(
    scores=("naswot",),
    num_images=8,
    num_cells=40,
    train_sizes=(20,),
    predictor="mlp",
    num_fits=1,
    predictor_epochs=2,
    num_seeds=1,
)

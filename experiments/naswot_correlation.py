"""Kendall tau of NASWOT scores with trained accuracies on NAS-Bench-201 (NASWOT figure 3 a-c).

python -m experiments.naswot_correlation            (configs/naswot_nasbench201.py)

Interrupted runs continue from runs/naswot-*.npz.
"""

from pathlib import Path

import jax
import numpy as np

import jnas
from configs.naswot_nasbench201 import CONFIG, Config
from experiments import common


def main(config: Config = CONFIG) -> None:
    """Score the same architectures in every way; print, plot and keep the correlations."""
    space = jnas.spaces.nasbench201()
    table = jnas.benchmarks.nasbench201(path=common.data_file("nasbench201.npz"))
    arch_key, image_key, score_key = jax.random.split(jax.random.key(config.seed), 3)
    archs = jax.vmap(space.sample)(jax.random.split(arch_key, config.num_archs))
    rows = np.asarray(table.rows(archs))
    results = []
    for images, relus in config.jobs:
        batch = jnas.images.load(images, num=config.num_images, key=image_key)
        naswot = jnas.zeroshot.naswot(jnas.networks.nasbench201(), batch, relus=relus)
        out = Path("runs") / f"naswot-{images}-{relus}-{config.seed}.npz"
        scores = np.asarray(jnas.population.score(naswot, archs, score_key, out=out))
        results.append(
            {"images": images, "relus": relus, "num_unranked": int(np.sum(~np.isfinite(scores)))}
            | {column: _compare(scores, table, rows, column, paper) for column, paper in config.columns}
        )
        figure = jnas.plots.score_against_accuracy(
            scores,
            table.column("test200_c10")[rows],
            score_label=f"NASWOT score of the untrained network ({images} images)",
            accuracy_label="CIFAR-10 test accuracy (%)",
        )
        jnas.plots.save(figure, common.RESULTS / f"naswot_nasbench201_{images}_{relus}.png")
    print(f"written: {common.write_json('naswot_nasbench201', {'config': repr(config), 'results': results})}")


def _compare(
    scores: np.ndarray, table: jnas.benchmarks.Table, rows: np.ndarray, column: str, paper: float
) -> dict[str, float]:
    """Kendall tau over all architectures, and without those that cannot be ranked, as the paper leaves them out."""
    accuracy, ranked = table.column(column)[rows], np.isfinite(scores)
    tau = float(jnas.metrics.kendall_tau(scores, accuracy))
    without = float(jnas.metrics.kendall_tau(scores, accuracy, where=ranked))
    print(f"{column:13} tau {tau:.3f}, without unranked {without:.3f}, paper {paper:.3f}  {table.conventions[column]}")
    return {"kendall_tau": round(tau, 4), "without_unranked": round(without, 4), "paper": paper}


if __name__ == "__main__":
    main()

"""Kendall tau of NASWOT scores with trained accuracies (NASWOT figure 3).

python -m experiments.naswot_correlation                    (configs/naswot_correlation.py)
python -m experiments.naswot_correlation nasbench101

Interrupted runs continue from runs/naswot-*.npz.
"""

import sys
from pathlib import Path

import jax
import numpy as np

import jnas
from configs.naswot_correlation import CONFIGS, Config
from experiments import common


def main(config: Config) -> None:
    """Score the same architectures in every way; print, plot and keep the correlations."""
    # The published sampler of NAS-Bench-101 prefers small cells, and would draw some of them many times.
    space = (
        jnas.spaces.nasbench101(sample="uniform")
        if config.space == "nasbench101"
        else jnas.spaces.nasbench201()
    )
    network = jnas.networks.by_name(config.space)
    path = common.data_file(f"{config.space}.npz")
    table = getattr(jnas.benchmarks, config.space)(path=path)
    arch_key, image_key, score_key = jax.random.split(jax.random.key(config.seed), 3)
    archs = jax.vmap(space.sample)(jax.random.split(arch_key, config.num_archs))
    rows = np.asarray(table.rows(archs))
    results = []
    for images, relus in config.jobs:
        batch = jnas.images.load(images, num=config.num_images, key=image_key)
        naswot = jnas.zeroshot.naswot(network, batch, relus=relus)
        out = Path("runs") / f"naswot-{config.space}-{images}-{relus}-{config.seed}.npz"
        scores = np.asarray(jnas.population.score(naswot, archs, score_key, out=out))
        kept = common.RESULTS / f"naswot_sample_{config.space}_{images}_{relus}.npz"
        np.savez_compressed(kept, archs=np.asarray(archs, np.int8), scores=scores)
        results.append(
            {"images": images, "relus": relus, "num_unranked": int(np.sum(~np.isfinite(scores)))}
            | {
                column: _compare(scores, table, rows, column, paper)
                for column, paper in config.columns
            }
        )
        figure = jnas.plots.score_against_accuracy(
            scores,
            _percent(table.column(config.columns[0][0])[rows]),
            score_label=f"NASWOT score of the untrained network ({images} images)",
            accuracy_label="CIFAR-10 test accuracy (%)",
        )
        jnas.plots.save(figure, common.RESULTS / f"naswot_{config.space}_{images}_{relus}.png")
    print(
        f"written: {common.write_json(f'naswot_{config.space}', {'config': repr(config), 'results': results})}"
    )


def _percent(accuracy: np.ndarray) -> np.ndarray:
    """Accuracies in %; those of NAS-Bench-101 are fractions."""
    return accuracy * (100 if accuracy.max() <= 1 else 1)


def _compare(
    scores: np.ndarray, table: jnas.benchmarks.Table, rows: np.ndarray, column: str, paper: float
) -> dict[str, float]:
    """Kendall tau over all architectures, and without those that cannot be ranked, as the paper leaves them out."""
    accuracy, ranked = table.column(column)[rows], np.isfinite(scores)
    tau = float(jnas.metrics.kendall_tau(scores, accuracy))
    without = float(jnas.metrics.kendall_tau(scores, accuracy, where=ranked))
    print(
        f"{column:13} tau {tau:.3f}, without unranked {without:.3f}, paper {paper:.3f}  {table.conventions[column]}"
    )
    return {"kendall_tau": round(tau, 4), "without_unranked": round(without, 4), "paper": paper}


if __name__ == "__main__":
    jnas.population.one_device_per_core()
    main(CONFIGS[sys.argv[1] if sys.argv[1:] else "nasbench201"])

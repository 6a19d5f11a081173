"""Kendall tau of NASWOT scores with trained accuracies on NAS-Bench-201 (NASWOT figure 3 a-c).

python -m experiments.naswot_correlation            (configs/naswot_nasbench201.py)

Interrupted runs continue from runs/naswot-*.npz.
"""

import time
from pathlib import Path
from typing import Literal, cast

import jax
import numpy as np

import jnas
from configs.naswot_nasbench201 import CONFIG, Config
from experiments import common


def main(config: Config = CONFIG) -> None:
    """Score the same architectures with every source of images; print, plot and keep the correlations."""
    space = jnas.spaces.nasbench201()
    table = jnas.benchmarks.nasbench201(path=common.data_file("nasbench201.npz"))
    arch_key, image_key, score_key = jax.random.split(jax.random.key(config.seed), 3)
    archs = jax.vmap(space.sample)(jax.random.split(arch_key, config.num_archs))
    rows = np.asarray(table.rows(archs))
    results = []
    for images in config.images:
        for relus in config.relus:
            batch = jnas.images.load(images, num=config.num_images, key=image_key)
            counted = cast(Literal["live", "all"], relus)
            naswot = jnas.zeroshot.naswot(jnas.networks.nasbench201(), batch, relus=counted)
            start = time.monotonic()
            out = Path("runs") / f"naswot-{images}-{relus}-{config.seed}.npz"
            scores = np.asarray(jnas.population.score(naswot, archs, score_key, out=out))
            seconds, taus = round(time.monotonic() - start, 1), {}
            for column, paper in config.columns:
                accuracy = table.column(column)[rows]
                tau = float(jnas.metrics.kendall_tau(scores, accuracy))
                taus[column] = round(tau, 4)
                print(
                    f"{images:8} {relus:5} {column:13} tau {tau:.3f}   paper {paper:.3f}   {table.conventions[column]}"
                )
            figure = jnas.plots.score_against_accuracy(
                scores,
                table.column("test200_c10")[rows],
                score_label=f"NASWOT score of the untrained network ({images} images)",
                accuracy_label="CIFAR-10 test accuracy after training (%)",
            )
            jnas.plots.save(figure, common.RESULTS / f"naswot_nasbench201_{images}.png")
            results.append(
                {
                    "images": images,
                    "relus": relus,
                    "num_unranked": int(np.sum(~np.isfinite(scores))),
                    "seconds": seconds,
                    "kendall_tau": taus,
                    "paper": dict(config.columns),
                }
            )
    path = common.write_json("naswot_nasbench201", {"config": repr(config), "results": results})
    print(f"written: {path}")


if __name__ == "__main__":
    main()

"""Correlations of zero-cost proxies under other conventions, on the same cells.

python -m experiments.zeroshot_conventions [variant ...]    (runs/ goes on after a kill)

Goes with `zeroshot_proxies`, whose cells, images and key it takes.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

import jnas
from configs import zeroshot_proxies
from configs.zeroshot_conventions import QUICK, VARIANTS, Variant
from experiments import common, ledger, pages, program
from experiments.zeroshot_proxies import drawn, network, read_table, score_file
from jnas.engine.messages import nearest

NAME = "zeroshot_conventions"


def scores(name: str, variant: Variant, archs: np.ndarray) -> dict[str, np.ndarray]:
    """`{name: [B]}` of the cells."""
    config = zeroshot_proxies.CONFIGS[variant.space]
    _, image_key, score_key = jax.random.split(jax.random.key(config.seed), 3)
    images, labels = jnas.images.load_labelled(
        "cifar10", variant.image_size, variant.num_images, image_key
    )
    # Drawn, for the images at hand have fewer classes than the data set that is meant.
    if variant.num_labels is not None:
        labels = jax.random.randint(
            jax.random.fold_in(image_key, 1), labels.shape, 0, variant.num_labels
        )
    suite = jnas.zeroshot.suite(
        network(config, **variant.network),
        images,
        labels,
        variant.names,
        shared_init=variant.shared_init,
    )
    found = jnas.population.score(suite, archs, score_key, out=common.RUNS / f"{NAME}-{name}.npz")
    return {key: np.asarray(values, np.float64) for key, values in found.items()}


def compare(name: str, variant: Variant) -> dict[str, Any]:
    """Spearman of each score with each column: of the variant, and of the sample's own scores."""
    config = zeroshot_proxies.CONFIGS[variant.space]
    table, file = read_table(config), np.load(score_file(config))
    rows = drawn(config, table, variant.num_archs)
    archs = table.archs[rows]
    accuracies = [table.column(column)[rows].astype(np.float64) for column in config.columns]

    def spearman(values: np.ndarray) -> list[float]:
        return [
            round(float(jnas.metrics.spearman(values, accuracy[: len(values)])), 4)
            for accuracy in accuracies
        ]

    return {
        key: {
            "spearman": spearman(values),
            "of_the_sample": spearman(file[key][: variant.num_archs].astype(np.float64)),
            "published": list(config.published.get(key, ())),
        }
        for key, values in scores(name, variant, archs).items()
    }


def main(names: Sequence[str] = (), variants: Mapping[str, Variant] = VARIANTS) -> None:
    """Score, print and keep the variants of these names; those kept before stay."""
    if unknown := [name for name in names if name not in variants]:
        raise SystemExit(f"unknown variant {unknown[0]!r}. {nearest(unknown[0], tuple(variants))}")
    path = common.RESULTS / f"{NAME}.json"
    kept: dict[str, Any] = json.loads(path.read_text())["variants"] if path.is_file() else {}
    for name in names or variants:
        kept[name] = compare(name, variants[name])
        print(ledger.markdown(_rows(name, kept[name])) + "\n", flush=True)
        config = {key: repr({**VARIANTS, **variants}[key]) for key in kept}
        common.write_json(NAME, {"config": config, "variants": kept})
    pages.show(NAME, page())


def page() -> pages.Page:
    """Spearman of each variant beside the sample's own and the published."""
    kept = pages.read(NAME)["variants"]
    tables = tuple(_rows(name, kept[name]) for name in VARIANTS if name in kept)
    return pages.Page((NAME,), tables)


def _rows(name: str, kept: dict[str, Any]) -> pages.Rows:
    header = [f"Spearman, {name}", "of the variant", "of the sample's own", "published, absolute"]
    rows = [[key, *(_numbers(values) for values in row.values())] for key, row in kept.items()]
    return [header, *rows]


def _numbers(values: list[float]) -> str:
    return ", ".join(f"{value:.3f}" for value in values)


if __name__ == "__main__":
    names = {"nargs": "*", "metavar": "NAME", "help": ", ".join(VARIANTS)}
    program.run(main, {"variants": QUICK}, {"names": names})

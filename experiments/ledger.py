"""Results of named jobs, each run once: kept as they come, so that a second call goes on.

A job's result is a dict of JSON values; `results/<name>.json` maps job names to them, with the
configuration and the environment beside. A job whose predictor has other settings now is run again.
A job that was run by other code of jnas is kept: its "code" says which, for long experiments span
many commits.
Every training records Kendall's tau-b, N@5 and N@10 on the test cells, averaged over its last five
epochs, and its seconds (compilation included).
"""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.typing import ArrayLike
from scipy import stats

import jnas
from experiments import common
from jnas.engine import fingerprints
from jnas.predictors import Evaluation
from jnas.predictors.fit import Metric
from jnas.predictors.recipes import as_plain
from jnas.types import Predictor


def n_at_5(scores: jax.Array, targets: jax.Array) -> jax.Array:
    """N@5 as a float."""
    return jnas.metrics.best_rank_at_k(scores, targets, 5).astype(float)


def n_at_10(scores: jax.Array, targets: jax.Array) -> jax.Array:
    """N@10 as a float."""
    return jnas.metrics.best_rank_at_k(scores, targets, 10).astype(float)


METRICS: dict[str, Metric] = {
    "kendall_tau": jnas.metrics.kendall_tau,
    "n_at_5": n_at_5,
    "n_at_10": n_at_10,
}


class Ledger:
    """Jobs of one experiment and their results."""

    def __init__(self, name: str, config: Any) -> None:
        """Go on with `results/<name>.json` where it exists."""
        self.name, self.config = name, repr(config)
        path = common.RESULTS / f"{name}.json"
        self.jobs: dict[str, Any] = json.loads(path.read_text())["jobs"] if path.exists() else {}

    def run(
        self, job: str, predictor: Predictor, function: Callable[[], dict[str, Any]]
    ) -> dict[str, Any]:
        """The result of a job with this predictor: from the ledger, or of calling the function."""
        return self.once(
            job, {"name": predictor.name} | as_plain(dict(predictor.settings)), function
        )

    def once(
        self, job: str, about: dict[str, Any], function: Callable[[], dict[str, Any]]
    ) -> dict[str, Any]:
        """The result of a job that JSON values describe; they are kept as its "predictor"."""
        settings = json.dumps(about)
        if job not in self.jobs or not _agree(
            *map(json.loads, (self.jobs[job]["predictor"], settings))
        ):
            # Kept at once, for the next job may be killed.
            self.jobs[job] = function() | {"predictor": settings, "code": fingerprints.code()}
            self.write()
            shown = {k: v for k, v in self.jobs[job].items() if isinstance(v, float)}
            print(job, shown, flush=True)
        result: dict[str, Any] = self.jobs[job]
        return result

    def write(self) -> Path:
        """Replace the result file."""
        return common.write_json(self.name, {"config": self.config, "jobs": self.jobs})


def _agree(kept: dict[str, Any], now: dict[str, Any]) -> bool:
    """Whether settings that were kept are unchanged; those newer than the result do not count."""
    pairs = [(value, now.get(name)) for name, value in kept.items()]
    return all(
        _agree(a, b) if isinstance(a, dict) and isinstance(b, dict) else a == b for a, b in pairs
    )


def random_rows(
    num: int, num_test: int, num_train: int, seeds: int
) -> tuple[np.ndarray, np.ndarray]:
    """Rows to train on and to test on, of a table of `num` rows.

    Args:
        num: rows of the table.
        num_test: M; the test rows depend on `num` and this alone.
        num_train: n, for each seed; those of fewer rows or seeds are the first of those of more.
        seeds: S.

    Returns:
        `[S, n]`, a random training set for each seed, and `[M]`, test rows in none of them.
    """
    # A generator for each seed, so that more seeds or cells leave the first ones as they are.
    order = np.random.default_rng(0).permutation(num)
    test, pool = order[:num_test], order[num_test:]
    train = [np.random.default_rng(1 + seed).permutation(pool)[:num_train] for seed in range(seeds)]
    return np.stack(train), test


def train(
    predictor: Predictor,
    train_set: tuple[np.ndarray, np.ndarray],
    test_set: tuple[np.ndarray, np.ndarray],
    seeds: int,
    checkpoint: Path | None = None,
    metrics: Mapping[str, Metric] = METRICS,
) -> dict[str, Any]:
    """Metrics of a predictor that is trained `seeds` times.

    Args:
        predictor: what is trained.
        train_set: archs `[n, D]` and targets `[n]` for all seeds, or `[S, n, D]` and `[S, n]`.
        test_set: archs `[M, D]` and targets `[M]` for all seeds, or `[S, M, D]` and `[S, M]`.
        seeds: S; seed `s` is key `fold_in(key(0), s)`.
        checkpoint: folder to go on from after an interruption.
        metrics: name → `(scores [M], targets [M]) -> []`, jittable; "kendall_tau" is one of them.

    Returns:
        Means, the standard deviation of tau, and each seed's values.
    """
    begin = time.perf_counter()
    archs, targets = train_set
    if archs.ndim == 2:
        archs, targets = np.repeat(archs[None], seeds, 0), np.repeat(targets[None], seeds, 0)
    keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(0), np.arange(seeds))
    evaluation = Evaluation(*test_set, metrics=metrics)
    fitted = predictor.fit_many(keys, archs, targets, evaluation=evaluation, checkpoint=checkpoint)
    # Over the last epochs, for single ones jump about.
    values = {name: fitted.metrics[name].mean(axis=1, dtype=np.float64) for name in metrics}
    result: dict[str, Any] = {name: round(float(value.mean()), 4) for name, value in values.items()}
    result |= {"std": round(float(values["kendall_tau"].std(ddof=1)), 4) if seeds > 1 else None}
    result |= {f"seeds_{name}": np.round(value, 4).tolist() for name, value in values.items()}
    return result | {
        "num_train": targets.shape[1],
        "seconds": round(time.perf_counter() - begin, 1),
    }


def half_interval(values: ArrayLike) -> float:
    """Half the 95 % interval of the mean (Student's t); NaN for a single value."""
    known = np.asarray(values, np.float64)
    if len(known) < 2:
        return float("nan")
    return float(stats.t.ppf(0.975, len(known) - 1) * np.std(known, ddof=1) / np.sqrt(len(known)))


def markdown(rows: list[list[str]]) -> str:
    """A table for README files and terminals; the first row is the header."""
    lines = [rows[0], ["---"] * len(rows[0]), *rows[1:]]
    return "\n".join("| " + " | ".join(row) + " |" for row in lines)

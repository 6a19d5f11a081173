"""AUC, accuracy and Kendall tau of the recurrent classifier, alone and as an ensemble.

python -m experiments.rnn_classifier            (configs/rnn_classifier.py)

Interrupted runs continue from results/rnn_classifier.json.
"""

import functools
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jnas
from configs.rnn_classifier import CONFIG, QUICK, Config
from experiments import common, ledger, pages, program

THRESHOLD = 0.9


def main(config: Config = CONFIG) -> None:
    """Train with every size, alone and together; print and keep the table."""
    table = jnas.benchmarks.nasbench101(common.data_file("nasbench101.npz"))
    archs, accuracy = table.archs, table.column("test_accuracy")
    book = ledger.Ledger("rnn_classifier", config)
    one = jnas.predictors.rnn_classifier(table.space)
    for size in config.sizes:
        rows, test = ledger.random_rows(len(archs), config.num_test, size, config.seeds)
        for members in config.members:
            predictor = one if members == 1 else jnas.predictors.ensemble(one, members)
            data = archs[rows], accuracy[rows], archs[test], accuracy[test]
            book.run(f"{members} x {size}", predictor, functools.partial(measure, predictor, *data))
    book.write()
    pages.show("rnn_classifier", page())


def page() -> pages.Page:
    """AUC, accuracy and Kendall tau by training cells and networks that vote."""
    jobs = pages.read("rnn_classifier")["jobs"]
    rows = [["cells", "networks", "AUC", "accuracy", "Kendall tau"]]
    for name, job in jobs.items():
        networks, size = name.split(" x ")
        values = (pages.beside(job, None, key) for key in ("auc", "accuracy", "kendall_tau"))
        rows.append([size, networks, *values])
    share = next(iter(jobs.values()))["share_above"]
    return pages.Page(
        ("rnn_classifier",),
        (rows,),
        notes=(f"{100 * share:.1f} % of the test cells are above 90 %.",),
    )


def measure(
    predictor: jnas.types.Predictor,
    archs: np.ndarray,
    targets: np.ndarray,
    test: np.ndarray,
    truth: np.ndarray,
) -> dict[str, Any]:
    """Means over seeds of AUC, of the accuracy of "(mean) logit above 0", and of Kendall tau."""
    from sklearn.metrics import roc_auc_score

    begin = time.perf_counter()
    keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(0), np.arange(len(archs)))
    fitted = predictor.fit_many(keys, archs, targets)
    found: dict[str, list[float]] = {"auc": [], "accuracy": [], "kendall_tau": []}
    rows = jnp.asarray(test)
    for seed in range(len(archs)):
        state = jnas.predictors.state(fitted.states, seed)
        scores = np.asarray(predictor.predict(state, rows))
        if isinstance(state, jnas.predictors.Members):
            logits = np.asarray(jnas.predictors.member_scores(predictor, state, rows))
            means, deviations = (np.asarray(x)[:, None] for x in (state.means, state.deviations))
            # Members are scaled to vote alike; a decision needs their own zero.
            decided = (logits * deviations + means).mean(axis=0) > 0
        else:
            decided = scores > 0
        found["auc"].append(float(roc_auc_score(truth > THRESHOLD, scores)))
        found["accuracy"].append(float(np.mean(decided == (truth > THRESHOLD))))
        found["kendall_tau"].append(float(jnas.metrics.kendall_tau(scores, truth)))
    result: dict[str, Any] = {
        name: round(float(np.mean(values)), 4) for name, values in found.items()
    }
    result |= {
        f"std_{name}": round(float(np.std(values, ddof=1)), 4) for name, values in found.items()
    }
    share = round(float(np.mean(truth > THRESHOLD)), 4)
    return result | {"share_above": share, "seconds": round(time.perf_counter() - begin, 1)}


if __name__ == "__main__":
    program.run(main, {"config": QUICK})

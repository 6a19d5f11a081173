"""Analyses of the scores that the authors of the one-shot study stored, space by space.

Each function takes the arrays of a file of the folder of data and returns plain lists.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

import jnas
from configs import oneshot_published as config
from experiments import common, oneshot_curves
from jnas.oneshot import analysis

Arrays = Mapping[str, np.ndarray]
CRITERIA = ("kendall", "p_top@0.05", "p_bottom@0.05", "best_rank@0.05", "worst_rank@0.05")


def read(name: str) -> dict[str, np.ndarray]:
    """Arrays of a file of the folder of data."""
    with np.load(common.data_file(f"{name}.npz")) as file:
        return {key: file[key] for key in file.files}


def scores_of(arrays: Arrays) -> dict[str, np.ndarray]:
    """One-shot "accuracy" and "−loss", as far as stored: `[E, 3, N]`, higher is better."""
    found = {"accuracy": arrays["oneshot_accuracy"]}
    if "oneshot_loss" in arrays:
        found["−loss"] = -arrays["oneshot_loss"]
    return found


def truth_of(arrays: Arrays) -> np.ndarray:
    """`[N]`, the true accuracies that the study compares with."""
    return arrays["accuracy" if "accuracy" in arrays else "test_accuracy"]


def kendall(scores: Any, truth: np.ndarray) -> np.ndarray:
    """`[...]`, Kendall's tau-b of the scores `[..., N]`."""
    return analysis.criteria(scores, truth, ratios=())["kendall"]


def nasbench301(arrays: Arrays) -> list[list[float]]:
    """Found numbers of `config.NASBENCH301`, in its order."""
    truth, scores = arrays["accuracy"], scores_of(arrays)
    # Published curves are of different genotypes, with the score of the last copy of each.
    places = {first: row for row, first in enumerate(arrays["copy_of"].tolist())}
    last = np.array(sorted(places.values()))
    taus = [kendall(s[..., last], truth[last]).mean(axis=1) for s in scores.values()]
    means = [kendall(s[-1].mean(axis=0), truth) for s in scores.values()]
    scored = known(scores["accuracy"])
    sizes = [kendall(arrays[name][scored], truth[scored]) for name in ("params", "flops")]
    relative = analysis.stability(scores["−loss"], ratios=())["kendall"].mean(axis=1)
    seeds = [analysis.agreement(s[-1])[np.triu_indices(3, 1)] for s in scores.values()]
    groups = analysis.quantile_groups(arrays["flops"], config.GROUPS)
    found = [analysis.by_group(s[-1], truth, groups) for s in scores.values()]
    return as_lists(
        *taus, means, sizes, relative, *([v.min(), v.max()] for v in seeds),
        found[0].rank_difference.mean(axis=0), *(f.kendall.mean(axis=0) for f in found),
    )  # fmt: skip


def nb1shot1(arrays: Arrays) -> list[list[float]]:
    """Found numbers of `config.NB1SHOT1_S3`."""
    truth = arrays["test_accuracy"]
    taus = kendall(arrays["oneshot_accuracy"], truth).mean(axis=1)
    sizes = [kendall(arrays[name], truth) for name in ("supernet_params", "params")]
    return as_lists(taus[[0, 1, 3, 5, 9]], sizes)


def resnexta(scores: Arrays, networks: Arrays) -> list[list[float]]:
    """Found numbers of `config.RESNEXTA`."""
    truth = networks["test_accuracy"]
    pairs = [
        [kendall(scores[f"accuracy_{kind}"], truth), kendall(-scores[f"loss_{kind}"], truth)]
        for kind in ("ordinal", "l1")
    ]
    sizes = [kendall(networks[name], truth) for name in ("params", "flops")]
    row = analysis.criteria(scores["accuracy_ordinal"], truth, ratios=(0.05,))
    return as_lists(*pairs, sizes, [row["p_top@0.05"], row["p_bottom@0.05"]])


def nasbench201() -> list[list[float]]:
    """Found numbers of `config.NASBENCH201`."""
    known_curves, arrays = oneshot_curves.published("nb201"), read("nasbench201_ose")
    table = jnas.benchmarks.nasbench201(path=common.data_file("nasbench201.npz"))
    params = jnas.oneshot.costs(jnas.spaces.nasbench201(), table.archs)["params"]
    chosen, own = arrays["representative"], arrays["test_accuracy"]
    sizes = [
        known_curves.costs["params"]["kendall"],
        kendall(params[chosen], own[chosen]),
        kendall(params, own),
    ]
    last = [known_curves.criteria[score]["kendall"][-1].mean() for score in oneshot_curves.SCORES]
    return as_lists(sizes, last)


def by_flops(arrays: Arrays, flops: np.ndarray, drops: int) -> dict[str, Any]:
    """Rank differences and taus inside fifths of FLOPs, `[E, G]` lists, means over seeds.

    With `drops`, the standard errors `[G]` at the last checkpoint that come from what is not
    stored: the deviation over random subsets that leave out as large a share of what is.
    """
    truth, groups = truth_of(arrays), analysis.quantile_groups(flops, config.GROUPS)
    result: dict[str, Any] = {"epochs": arrays["oneshot_epochs"].tolist()}
    for name, scores in scores_of(arrays).items():
        found = analysis.by_group(scores, truth, groups)
        row: dict[str, Any] = {
            "rank_difference": rounded(found.rank_difference.mean(axis=1)),
            "kendall": rounded(found.kendall.mean(axis=1)),
        }
        if drops:
            row |= errors(scores[-1], truth, groups, drops)
        result[name] = row
    return result


def errors(
    scores: np.ndarray, truth: np.ndarray, groups: np.ndarray, drops: int
) -> dict[str, list[float]]:
    """Standard errors of `by_flops` at a checkpoint, `[3, N]`, from the scores left out."""
    rng, rows = np.random.default_rng(0), np.flatnonzero(known(scores))
    share = len(rows) / len(truth)
    subsets = [np.sort(rng.permutation(rows)[: int(share * len(rows))]) for _ in range(drops)]
    found = [analysis.by_group(scores[:, s], truth[s], groups[s]) for s in subsets]
    # Of m out of n architectures the variance goes with 1 / m − 1 / n; n is larger by 1 / share.
    factor = np.sqrt(share)
    return {
        f"{name}_error": rounded(
            factor * np.std([getattr(f, name).mean(axis=0) for f in found], axis=0, ddof=1)
        )
        for name in ("rank_difference", "kendall")
    }


def curves(cells: Arrays, s3: Arrays) -> dict[str, Any]:
    """Largest and mean difference of all criteria from those stored, at all checkpoints."""
    result = {}
    last = np.array(sorted({f: row for row, f in enumerate(cells["copy_of"].tolist())}.values()))
    for space, arrays, rows in (("nb301", cells, last), ("nb1shot1_s3", s3, slice(None))):
        stored = oneshot_curves.published(space)
        at = np.isin(stored.epochs, arrays["oneshot_epochs"])
        for key, scores in zip(stored.criteria, scores_of(arrays).values(), strict=False):
            mine = analysis.criteria(scores[..., rows], truth_of(arrays)[rows])
            result[f"{space} {key}"] = {
                name: {
                    "mean": round(float(difference.mean()), 4),
                    "largest": round(float(difference.max()), 4),
                }
                for name, difference in differences(stored.criteria[key], mine, at)
            }
    return result


def differences(stored: Arrays, mine: Arrays, at: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Criterion and the absolute difference of its means over seeds, `[E]`."""
    for name in ("pearson", "kendall", "spearman", "p_top@0.05", "p_bottom@0.05", "p_top@0.5"):
        yield name, np.abs(stored[name][at].mean(axis=1) - mine[name].mean(axis=1))


def mutations_301(arrays: Arrays) -> dict[str, Any]:
    """Effects of replacing one operation of a DARTS cell, at the last checkpoint."""
    names = ("max pool", "avg pool", "skip", "sep 3x3", "sep 5x5", "dil 3x3", "dil 5x5")
    archs = np.concatenate([arrays[name].reshape(-1, 16) for name in ("inputs", "ops")], axis=1)
    pairs = analysis.mutations(archs, range(16, 32))
    scores, truth = arrays["oneshot_accuracy"][-1], arrays["accuracy"]
    counts = (archs[:, 16:, None] == np.arange(len(names))).sum(axis=1)
    return effects(pairs, scores, truth, names) | regression(counts, scores, truth)


def mutations_s3(arrays: Arrays) -> dict[str, Any]:
    """Effects of replacing one operation of a NAS-Bench-1Shot1 cell, at the last checkpoint.

    Truths are means over the runs of NAS-Bench-101: a single run fails now and then.
    """
    names = ("conv 3x3", "conv 1x1", "max pool")
    archs = oneshot_curves.s3_archs(arrays)
    first = np.unique(archs, axis=0, return_index=True)[1]
    pairs = analysis.mutations(archs[first], range(5, 10))
    truth = read("nasbench101")["test_accuracy"][arrays["row"][first]]
    truth = truth.reshape(len(first), -1).mean(axis=1)
    scores = arrays["oneshot_accuracy"][-1][:, first]
    counts = (archs[first][:, 5:, None] == np.arange(len(names))).sum(axis=1)
    return effects(pairs, scores, truth, names) | regression(counts, scores, truth)


def effects(
    pairs: analysis.Mutations, scores: np.ndarray, truth: np.ndarray, names: Sequence[str]
) -> dict[str, Any]:
    """Tables `[O, O]` of a mutation's effects; those of scores are means over seeds."""
    table = analysis.mutation_table(pairs, scores, truth, len(names))
    everything = analysis.mutation_table(pairs, truth, truth, len(names))
    return {
        "operations": list(names),
        "pairs": table.pairs.tolist(),
        "pairs_with_truth": everything.pairs.tolist(),
        "truth_up_of_all": rounded(everything.truth_up),
        "truth_up": rounded(table.truth_up),
        "score_up": rounded(table.score_up.mean(axis=0)),
        "bias": rounded(table.bias.mean(axis=0)),
    }


def regression(counts: np.ndarray, scores: np.ndarray, truth: np.ndarray) -> dict[str, Any]:
    """Tables `[O, O]` of the change of the rank difference and its error, of the mean score."""
    found, places = analysis.operation_bias(counts, scores.mean(axis=0), truth), counts.shape[1]
    pairs = [[found.replacing(a, b) for b in range(places)] for a in range(places)]
    table = np.array(pairs, np.float64)
    return {"regression": rounded(table[..., 0]), "regression_error": rounded(table[..., 1])}


def stability(arrays: Arrays) -> dict[str, Any]:
    """Relative criteria of adjacent checkpoints, and tau between seeds, `[E, …]` lists."""
    result: dict[str, Any] = {"epochs": arrays["oneshot_epochs"].tolist()}
    for name, scores in scores_of(arrays).items():
        found = analysis.stability(scores, ratios=(0.005, 0.05))
        seeds = np.stack([analysis.agreement(s)[np.triu_indices(3, 1)] for s in scores])
        keys = ("kendall", "p_top@0.005", "p_top@0.05", "p_bottom@0.05")
        result[name] = {key: rounded(found[key]) for key in keys} | {"seeds": rounded(seeds)}
    return result


def summary(space: str) -> dict[str, Any]:
    """Published criteria of a space, means over seeds, those of its costs, and its truths.

    "truth" has the accuracy at the true ranks 0, .05, .25, .5, .75, .95 and 1 from the best, and
    "worst_accuracy@0.05" that of the worst rank among the predicted best 5 %, `[E]`.
    """
    found, (_, truth) = oneshot_curves.published(space), oneshot_curves.costs(space)
    ordered = np.sort(truth)[::-1]
    result: dict[str, Any] = {"epochs": found.epochs.tolist(), "num": len(truth)}
    for score, rows in found.criteria.items():
        means = {name: rounded(rows[name].mean(axis=1)) for name in CRITERIA}
        ranks = np.round(rows["worst_rank@0.05"] * len(truth)).astype(int)
        worst = ordered[np.maximum(ranks, 1) - 1].mean(axis=1)
        result[score] = means | {"worst_accuracy@0.05": rounded(worst)}
    shares = (0, 0.05, 0.25, 0.5, 0.75, 0.95, 1)
    result["truth"] = rounded(ordered[[int(share * (len(truth) - 1)) for share in shares]])
    result |= {
        cost: {name: rounded(row[name]) for name in CRITERIA if name in row}
        for cost, row in found.costs.items()
    }
    return result


def ensembles(arrays: Arrays) -> dict[str, Any]:
    """Tau at the last checkpoint of the mean score of the last 1, 3 and 5, `[3]` seeds each."""
    return {
        name: {
            str(num): rounded(kendall(analysis.running_means(scores, num)[-1], truth_of(arrays)))
            for num in (1, 3, 5)
        }
        for name, scores in scores_of(arrays).items()
    }


def known(scores: np.ndarray) -> np.ndarray:
    """`[N]` bool: which architectures have all their scores `[..., N]`."""
    mask: np.ndarray = ~np.isnan(scores).any(axis=tuple(range(scores.ndim - 1)))
    return mask


def as_lists(*rows: Any) -> list[list[float]]:
    """Rows of numbers as lists of floats."""
    return [[float(value) for value in row] for row in rows]


def rounded(values: Any) -> Any:
    """Numbers of an array as nested lists, to four digits; None where there is none."""
    array = np.round(np.asarray(values, np.float64), 4)
    return np.where(np.isnan(array), np.array(None), array.astype(object)).tolist()

"""Figures of the one-shot study on NAS-Bench-301 and NDS, from stored scores, and what is left.

python -m experiments.oneshot_spaces (configs/oneshot_spaces.py)
"""

from typing import TYPE_CHECKING, Any

import numpy as np

import jnas
from configs import oneshot_spaces as config
from experiments import common, pages, program
from experiments import oneshot_stored as stored
from experiments.oneshot_published import beside
from jnas.oneshot import analysis

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAME = "oneshot_spaces"
_RATIOS = (0.005, 0.05)


def main() -> None:
    """Print, plot and keep the numbers."""
    cells, resnet, resnexta = (
        stored.read(name) for name in ("nasbench301_ose", "nds_resnet", "nds_resnexta")
    )
    scores = stored.read("nds_resnexta_ose")
    ensembles = {name: _ensembles(cells, name) for name in stored.scores_of(cells)}
    content = {
        "rows": beside(
            (config.WORST_RANK, config.WORST_RANK_LOSS, config.TOP), _found(cells, ensembles)
        ),
        "ensembles": ensembles,
        "resnexta": _resnexta(scores, resnexta),
        "relus": {
            "NAS-Bench-301": _against(relus_of_cells(cells), cells, cells["accuracy"]),
            "NDS ResNet": _against(relus_of_blocks(resnet), resnet, resnet["test_accuracy"]),
            "NDS ResNeXt-A": _against(
                relus_of_blocks(resnexta), resnexta, resnexta["test_accuracy"]
            ),
        },
    }
    common.write_json(NAME, content)
    jnas.plots.save(_picture(ensembles), common.RESULTS / f"{NAME}.png")
    pages.show(NAME, page())


def _found(cells: stored.Arrays, ensembles: dict[str, Any]) -> list[list[float]]:
    """Found numbers beside those of the config, in its order."""
    at = np.isin(cells["oneshot_epochs"], (200, 600, 1000))
    rows = [
        analysis.criteria(scores[at], cells["accuracy"], ratios=(0.05,))["worst_rank@0.05"]
        for scores in stored.scores_of(cells).values()
    ]
    top = ensembles["accuracy"]["1"]["p_top@0.005"][-1]
    return stored.as_lists(*(row.mean(axis=1) for row in rows), [top])


def _ensembles(cells: stored.Arrays, name: str) -> dict[str, Any]:
    """Stability and ranking quality of the mean scores of 1, 3 and 5 checkpoints, by epoch."""
    scores, truth = stored.scores_of(cells)[name], cells["accuracy"]
    result = {}
    for num in config.NUM:
        means = np.asarray(analysis.running_means(scores, num), np.float64)
        relative = analysis.stability(means, ratios=_RATIOS)
        quality = analysis.criteria(means, truth, ratios=_RATIOS)
        keys = ("kendall", "p_top@0.005", "p_top@0.05", "p_bottom@0.05")
        result[str(num)] = {key: stored.rounded(relative[key].mean(axis=1)) for key in keys} | {
            f"true {key}": stored.rounded(quality[key].mean(axis=1))
            for key in ("kendall", "p_top@0.05")
        }
    return result


def _resnexta(scores: stored.Arrays, networks: stored.Arrays) -> dict[str, Any]:
    """Biases of the one-shot accuracy by size and by decision, and its worst of the best 5 %."""
    truth, accuracy = networks["test_accuracy"], scores["accuracy_ordinal"]
    sizes = {}
    for cost in ("params", "flops"):
        found = analysis.by_group(
            accuracy, truth, analysis.quantile_groups(networks[cost], config.GROUPS)
        )
        sizes[cost] = {
            "rank_difference": stored.rounded(found.rank_difference),
            "kendall": stored.rounded(found.kendall),
        }
    row = analysis.criteria(accuracy, truth, ratios=(0.05,))
    worst = {
        "worst_accuracy": round(float(row["worst_accuracy@0.05"]), 2),
        "kendall": round(float(row["kendall"]), 4),
    }
    return {"sizes": sizes, "decisions": _decisions(accuracy, networks), "worst": worst}


def _decisions(scores: np.ndarray, networks: stored.Arrays) -> list[dict[str, Any]]:
    """Bias of each choice of a stage, beside the mean of the choices of its decision."""
    names, counts = [], []
    for decision, key in config.DECISIONS.items():
        for value in np.unique(networks[key]):
            names.append((decision, float(value)))
            counts.append((networks[key] == value).sum(axis=1))
    found = analysis.operation_bias(np.stack(counts, axis=1), scores, networks["test_accuracy"])
    errors = np.sqrt(np.diag(found.covariance))
    return [
        {"decision": decision, "value": value, "bias": round(float(bias), 4), "error": float(error)}
        for (decision, value), bias, error in zip(
            names, found.bias, np.round(errors, 4), strict=True
        )
    ]


def relus_of_cells(cells: stored.Arrays) -> np.ndarray:
    """`[N]`, ReLU layers of the networks of eight cells: two a separable convolution, and so on."""
    inputs, ops = cells["inputs"].astype(int), cells["ops"].astype(int)
    # Max pool, average pool, skip, both separable and both dilated convolutions.
    of_operation = np.array([0, 0, 0, 2, 2, 1, 1])[ops]
    # A skip that halves the pixels is a ReLU and a convolution.
    halves = (ops[:, 1] == 2) & (inputs[:, 1] < 2)
    normal, reduction = of_operation.sum(axis=2).T
    # Each of eight cells, two of them reduction cells, begins with a ReLU for each of its inputs.
    total: np.ndarray = 8 * 2 + 6 * normal + 2 * (reduction + halves.sum(axis=1))
    return total


def relus_of_blocks(networks: stored.Arrays) -> np.ndarray:
    """`[N]`, residual blocks, each of which has equally many ReLU layers."""
    total: np.ndarray = networks["depths"].astype(int).sum(axis=1)
    return total


def _against(relus: np.ndarray, networks: stored.Arrays, truth: np.ndarray) -> dict[str, Any]:
    """Tau of the number of ReLU layers, and of #params."""
    return {
        "relus": round(float(stored.kendall(relus.astype(float), truth)), 4),
        "params": round(float(stored.kendall(networks["params"], truth)), 4),
    }


def _picture(ensembles: dict[str, Any]) -> "Figure":
    """Figures 14 and 15: stability and quality of mean scores by epoch, on NAS-Bench-301."""
    panels: dict[str, dict[str, Any]] = {}
    epochs = np.arange(100, 1001, 100)
    for score, by_num in ensembles.items():
        for key, label in (
            ("kendall", "τ-b with the 100 epochs before"),
            ("p_top@0.005", "P@top .5 % with those"),
            ("true kendall", "τ-b with the truth"),
        ):
            panels[f"{label}, {score}"] = {
                f"mean of {num}": (epochs[-len(found[key]) :], np.array(found[key], float))
                for num, found in by_num.items()
            }
    return jnas.plots.criterion_curves(panels, title="NAS-Bench-301: mean scores of checkpoints")


def page() -> pages.Page:
    """Tables of the figures, of ResNeXt-A's biases, and of what is left."""
    content = pages.read(NAME)
    figures = [["figure", "found", "published"]]
    for row in content["rows"]:
        texts = (", ".join(pages.number(v) for v in row[key]) for key in ("found", "published"))
        figures.append([row["what"], *texts])
    figures += [[what, "left", needs] for what, needs in config.LEFT]
    tables = (figures, _of_ensembles(content["ensembles"]), *_of_resnexta(content["resnexta"]))
    relus = [["tau with the true accuracy", "ReLU layers", "#params"]]
    for space, found in content["relus"].items():
        relus.append([space, pages.number(found["relus"]), pages.number(found["params"])])
    worst = content["resnexta"]["worst"]
    notes = (
        "Where a figure is left, the last column says what it needs. Figure 12 is in "
        "[oneshot_published](oneshot_published.md), and so are figures 11 and 14 of single "
        "checkpoints, and tau of each stored zero-shot score.",
        f"ResNeXt-A, worst accuracy among the 5 % that one-shot accuracy predicts to be best: "
        f"{worst['worst_accuracy']:.2f} % (tau {pages.number(worst['kendall'])}).",
    )
    return pages.Page((NAME,), (*tables, relus), (f"{NAME}.png",), notes)


def _of_ensembles(ensembles: dict[str, Any]) -> pages.Rows:
    """Table of figures 14 and 15: NAS-Bench-301, the last 100 epochs."""
    header = ["relative tau", "relative P@top .5 %", "tau", "P@top 5 %"]
    rows = [["14, 15: NAS-Bench-301, epoch 1,000, mean of checkpoints", *header]]
    for score, by_num in ensembles.items():
        for num, found in by_num.items():
            keys = ("kendall", "p_top@0.005", "true kendall", "true p_top@0.05")
            rows.append([f"{score}, {num}", *(pages.number(found[key][-1]) for key in keys)])
    return rows


def _of_resnexta(found: dict[str, Any]) -> tuple[pages.Rows, pages.Rows]:
    """Tables of figures 11 and 12 on ResNeXt-A."""
    fifths = ["smallest fifth", "second", "third", "fourth", "largest fifth"]
    sizes = [["11: ResNeXt-A, one-shot accuracy, epoch 1,000", *fifths]]
    for cost, one in found["sizes"].items():
        for key, label in (("rank_difference", "rank difference"), ("kendall", "tau inside")):
            values = (pages.number(value) for value in one[key])
            sizes.append([f"{label}, by {'#params' if cost == 'params' else 'FLOPs'}", *values])
    decisions = [["12: bias of a stage's choice on ResNeXt-A", "by its value"]]
    for decision in config.DECISIONS:
        texts = [
            f"{row['value']:g}: {row['bias']:+.3f} ± {row['error']:.3f}"
            for row in found["decisions"]
            if row["decision"] == decision
        ]
        decisions.append([decision, ", ".join(texts)])
    return sizes, decisions


if __name__ == "__main__":
    program.run(main, {}, spread=False)

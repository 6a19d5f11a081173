"""What results say of the statements of the one-shot study: a judge for each, numbers from JSON.

A judge reads the files of results it needs and returns its `Verdict`; FileNotFoundError where one
has not been made, so that a statement is judged as soon as an experiment has been run.
`experiments.oneshot_study` lists the statements with their judges.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from experiments import pages
from jnas import metrics

STORED = "oneshot_published"
FIGURES = "oneshot_figures"
ZEROSHOT = {
    "NAS-Bench-201": "zeroshot_proxies_nasbench201",
    "NAS-Bench-101": "zeroshot_proxies_nasbench101",
}
_PLACES = ("larger", "better")
_MARGIN = 0.01  # of tau: what is nearer than that counts as equal


class Verdict(NamedTuple):
    """Answer of results to a statement.

    Attributes:
        holds: whether they agree with it; None where they do not decide.
        numbers: what they say, in a few words.
        sources: names of the JSON files.
    """

    holds: bool | None
    numbers: str
    sources: tuple[str, ...] = (STORED,)


Judge: TypeAlias = Callable[[], Verdict]


def longer_training() -> Verdict:
    """O1: longer training ranks better, and P@top < P@bottom."""
    content = pages.read(STORED)
    texts, holds = [], True
    for space, score, early in (
        ("nb201", "acc", 200),
        ("nb301", "acc", 200),
        ("nb301", "loss", 200),
    ):
        first, last = (_at(content, space, score, "kendall", e) for e in (early, 1000))
        top, bottom = (
            _at(content, space, score, f"p_{end}@0.05", 1000) for end in ("top", "bottom")
        )
        holds &= last > first and top < bottom
        texts.append(
            f"{space} {score}: tau {first:.3f} → {last:.3f} from epoch {early} to 1,000, P@top 5 % "
            f"{top:.3f}, P@bottom {bottom:.3f}"
        )
    top, bottom = row_of(content, "ResNeXt-A", "P@top")["found"]
    texts.append(f"ResNeXt-A, epoch 1,000: P@top {top:.3f}, P@bottom {bottom:.3f}")
    return Verdict(holds and top < bottom, "; ".join(texts))


def early_end() -> Verdict:
    """O2: on NAS-Bench-1Shot1 nothing is gained after 20 epochs, and P@top > P@bottom."""
    content = pages.read(STORED)
    space = "nb1shot1_s3"
    first, last = (_at(content, space, "loss", "kendall", epoch) for epoch in (20, 1000))
    tops = [_at(content, space, "loss", "p_top@0.05", epoch) for epoch in (20, 1000)]
    bottom = _at(content, space, "loss", "p_bottom@0.05", 1000)
    numbers = (
        f"tau of −loss {first:.3f} at epoch 20, {last:.3f} at 1,000 (#params "
        f"{content['summary'][space]['params']['kendall']:.3f}); P@top 5 % {tops[1]:.3f}, P@bottom "
        f"{bottom:.3f}; but P@top still grows, from {tops[0]:.3f}"
    )
    return Verdict(last <= first and tops[1] > bottom, numbers)


def loss_or_accuracy() -> Verdict:
    """O3: on NAS-Bench-301 the loss ranks much better than the accuracy."""
    content = pages.read(STORED)
    pairs = {
        name: [_at(content, "nb301", score, key, 1000) for score in ("loss", "acc")]
        for name, key in (("tau", "kendall"), ("P@top 5 %", "p_top@0.05"))
    }
    holds = all(loss > accuracy + _MARGIN for loss, accuracy in pairs.values())
    params = content["summary"]["nb301"]["params"]["kendall"]
    texts = [
        f"{name} {loss:.3f} by −loss, {acc:.3f} by accuracy" for name, (loss, acc) in pairs.items()
    ]
    return Verdict(holds, f"{'; '.join(texts)}; but #params {params:.3f}")


def other_trend() -> Verdict:
    """O4: NAS-Bench-1Shot1 behaves otherwise than NAS-Bench-201 and -301."""
    content = pages.read(STORED)
    best, signs = {}, {}
    for space in ("nb1shot1_s3", "nb201", "nb301"):
        found = content["summary"][space]
        best[space] = found["epochs"][int(np.argmax(found["acc"]["kendall"]))]
        signs[space] = found["acc"]["p_top@0.05"][-1] - found["acc"]["p_bottom@0.05"][-1]
    first, *others = best
    holds = all(best[first] < best[o] and signs[first] > 0 > signs[o] for o in others)
    texts = [f"{s}: best tau at epoch {best[s]:,}, P@top − P@bottom {signs[s]:+.2f}" for s in best]
    return Verdict(holds, "; ".join(texts))


def bad_as_good() -> Verdict:
    """O5: on NAS-Bench-201 WR@K falls in the middle and late stages, BR@K has converged before."""
    content = pages.read(STORED)
    worst, best = (
        [_at(content, "nb201", "acc", f"{kind}_rank@0.05", e) for e in (160, 400, 1000)]
        for kind in ("worst", "best")
    )
    numbers = (
        f"worst rank@5 % {worst[0]:.3f}, {worst[1]:.3f}, {worst[2]:.3f} at epochs 160, 400, 1,000; "
        f"best rank {best[0]:.4f}, {best[2]:.4f}"
    )
    return Verdict(worst[0] > worst[2] and best[0] < 0.01, numbers)


def still_good() -> Verdict:
    """O6: WorstAcc@5 % is higher on NAS-Bench-301 than on -201, although tau is lower."""
    content = pages.read(STORED)
    taus, accuracies = (
        [_at(content, space, "acc", key, 1000) for space in ("nb301", "nb201")]
        for key in ("kendall", "worst_accuracy@0.05")
    )
    numbers = (
        f"{accuracies[0]:.2f} % on nb301 (tau {taus[0]:.3f}), {accuracies[1]:.2f} % on nb201 "
        f"(tau {taus[1]:.3f})"
    )
    return Verdict(accuracies[0] > accuracies[1] and taus[0] < taus[1], numbers)


def large_converge_late() -> Verdict:
    """A1: large architectures are underestimated early, and less so later."""
    content = pages.read(STORED)
    rows = content["groups"]["NAS-Bench-301"]["accuracy"]["rank_difference"]
    ends = [rows[place] for place in (0, -1)]
    early, late = (", ".join(f"{value:+.3f}" for value in row) for row in ends)
    numbers = (
        f"NAS-Bench-301, rank difference by fifths of FLOPs, the smallest first: {early} at epoch "
        f"100; {late} at 1,000"
    )
    holds = ends[0][-1] < ends[0][0] and abs(ends[1][-1]) < abs(ends[0][-1])
    return Verdict(holds, numbers)


def operation_bias() -> Verdict:
    """A2: skip is underestimated beside dilated convolutions on NAS-Bench-301."""
    content = pages.read(STORED)
    table = content["mutations"]["NAS-Bench-301"]
    names = table["operations"]
    texts, holds = [], True
    for new in ("dil 3x3", "dil 5x5"):
        keys = ("truth_up", "score_up", "pairs", "regression", "regression_error")
        cells = (table[key][names.index("skip")][names.index(new)] for key in keys)
        truth, score, pairs, change, error = cells
        holds &= score > truth and change > 2 * error
        texts.append(
            f"skip → {new}: accuracy rises in {truth:.2f}, its estimate in {score:.2f} of {pairs} "
            f"pairs; all cells: rank difference {change:+.3f} ± {error:.3f}"
        )
    return Verdict(holds, "; ".join(texts))


def instability() -> Verdict:
    """A4: rankings of adjacent checkpoints differ early, and at the top also late."""
    content = pages.read(STORED)
    found = content["stability"]["NAS-Bench-301"]["accuracy"]
    taus, tops = (np.mean(found[key], axis=1) for key in ("kendall", "p_top@0.005"))
    numbers = (
        f"NAS-Bench-301: relative tau {taus[0]:.2f} → {taus[-1]:.2f}, relative P@top .5 % "
        f"{tops[0]:.2f} → {tops[-1]:.2f} (published about .46)"
    )
    return Verdict(bool(taus[0] < 0.6 and tops[-1] < 0.75), numbers)


def score_ensemble() -> Verdict:
    """S1: temporal ensembles (here of scores) do not better the ranking on NAS-Bench-301."""
    content = pages.read(STORED)
    found = content["ensembles"]["NAS-Bench-301"]
    texts, holds = [], True
    for score, taus in found.items():
        means = {num: float(np.mean(values)) for num, values in taus.items()}
        holds &= max(means["3"], means["5"]) < means["1"] + _MARGIN
        texts.append(f"{score} {means['1']:.3f}, {means['3']:.3f}, {means['5']:.3f}")
    what = "NAS-Bench-301, tau of the mean score of 1, 3, 5 checkpoints 100 epochs apart"
    return Verdict(holds, f"{what}: {'; '.join(texts)}")


def zeroshot_worse() -> Verdict:
    """Zero-shot O1: zero-shot scores rank worse than one-shot ones."""
    content, other = pages.read(STORED), pages.read(ZEROSHOT["NAS-Bench-201"])
    best = max(abs(row["found"][0]) for row in content["rows"]["zero-shot, NAS-Bench-301"])
    oneshot = _at(content, "nb301", "loss", "kendall", 1000)
    name, tau = _best(other)
    on_201 = _at(content, "nb201", "acc", "kendall", 1000)
    numbers = (
        f"nb301: {best:.3f} at best, one-shot −loss {oneshot:.3f}; nb201: {name} {tau:.3f}, "
        f"one-shot {on_201:.3f}"
    )
    return Verdict(best < oneshot and tau < on_201, numbers, (STORED, ZEROSHOT["NAS-Bench-201"]))


def relu_count() -> Verdict:
    """Zero-shot O2: the number of ReLU layers is competitive."""
    files = {space: pages.read(name) for space, name in ZEROSHOT.items()}
    texts, holds = [], True
    for space, content in files.items():
        taus = taus_of(content)
        better = sorted(taus.values(), reverse=True).index(taus["relu_count"])
        holds &= better < len(taus) / 2
        texts.append(
            f"{space}: {taus['relu_count']:.3f}, {better} of {len(taus)} scores are better"
        )
    return Verdict(holds, "; ".join(texts), tuple(ZEROSHOT.values()))


def varying_zeroshot() -> Verdict:
    """Zero-shot O3: which scores are good differs between spaces."""
    files = [pages.read(name) for name in ZEROSHOT.values()]
    one, two = (taus_of(content) for content in files)
    shared = [name for name in one if name in two]
    rho = float(metrics.spearman([one[name] for name in shared], [two[name] for name in shared]))
    far = max(shared, key=lambda name: abs(one[name] - two[name]))
    numbers = (
        f"Spearman {rho:.2f} between the taus of {len(shared)} scores on NAS-Bench-201 and -101; "
        f"{far} has {one[far]:.3f} and {two[far]:.3f}"
    )
    return Verdict(rho < 0.8, numbers, tuple(ZEROSHOT.values()))


def vote(space: str) -> Verdict:
    """Zero-shot O4: a vote of three is not better than the best score; on a space of ours."""
    content = pages.read(ZEROSHOT[space])
    rows = {key: row["kendall_tau"][0] for key, row in content["rows"].items()}
    voted = {key: tau for key, tau in rows.items() if key.startswith("vote: ")}
    best = max(voted, key=lambda key: voted[key])
    # The paper's vote is compared with its experts, not with scores that it did not have.
    expert = max(rows[key] for key in best.removeprefix("vote: ").split(", "))
    numbers = f"{space}: {best} {voted[best]:.3f}, its best expert {expert:.3f}"
    return Verdict(voted[best] <= expert + _MARGIN, numbers, (ZEROSHOT[space],))


def stored_vote() -> Verdict:
    """Zero-shot O4 on NAS-Bench-301, as stored."""
    rows = pages.read(STORED)["rows"]["zero-shot, NAS-Bench-301"]
    taus = {row["what"].removeprefix("tau of "): row["found"][0] for row in rows}
    best = max((name for name in taus if name != "vote"), key=lambda name: abs(taus[name]))
    numbers = (
        f"NAS-Bench-301, stored: vote {taus['vote']:.3f}, {best} {abs(taus[best]):.3f} (absolute)"
    )
    return Verdict(taus["vote"] <= abs(taus[best]), numbers)


def largest_preferred() -> Verdict:
    """Zero-shot A1: some scores have an excessive preference for the largest architectures."""
    return _preference("synflow", lambda row: float(row["params"]), "mean #params of the top tenth")


def one_by_one_preferred() -> Verdict:
    """Zero-shot A2: relu_logdet and jacob_cov prefer 1x1 over 3x3 convolutions."""
    content = pages.read(ZEROSHOT["NAS-Bench-201"])
    names = ("accuracy", "relu_logdet", "jacob_cov")
    shares = [
        content["biases"][name]["nor_conv_1x1"] / content["biases"][name]["nor_conv_3x3"]
        for name in names
    ]
    texts = (f"{name} {share:.2f}" for name, share in zip(names, shares, strict=True))
    numbers = f"1x1 for each 3x3 in the top tenth of NAS-Bench-201: {', '.join(texts)}"
    return Verdict(min(shares[1:]) > 1 > shares[0], numbers, (ZEROSHOT["NAS-Bench-201"],))


def leaders() -> Verdict:
    """Zero-shot A1, figure 19: the best cells by SynFlow are the largest, not the most accurate."""
    found = pages.read(FIGURES)["zeroshot"]
    larger, better = ([cell[key] for cell in found["leaders"]["synflow"]] for key in _PLACES)
    numbers = (
        f"of {found['cells']:,} cells of NAS-Bench-201, {larger} are larger and {better} more "
        "accurate than its best three"
    )
    return Verdict(sum(larger) < sum(better), numbers, (FIGURES,))


def one_by_one_bias() -> Verdict:
    """Zero-shot A2, figure 20: both scores overestimate 1x1 beside 3x3 convolutions."""
    biases, texts, holds = pages.read(FIGURES)["zeroshot"]["biases"], [], True
    for name in ("relu_logdet", "jacob_cov"):
        # Places of the two operations in NAS-Bench-201.
        change, error = (biases[name][key][3][2] for key in ("change", "error"))
        holds &= change > 2 * error
        texts.append(f"{name} {change:+.3f} ± {error:.3f}")
    numbers = f"rank difference where a 1x1 replaces a 3x3: {', '.join(texts)}"
    return Verdict(holds, numbers, (FIGURES,))


def _preference(name: str, value: Callable[[Any], float], what: str) -> Verdict:
    """Whether a score's top has more of something than the truly best, in both spaces."""
    texts, holds = [], True
    for space, file in ZEROSHOT.items():
        content = pages.read(file)
        mine, true = (value(content["biases"][key]) for key in (name, "accuracy"))
        holds &= mine > true
        texts.append(f"{space} {mine:,.0f}, of the truly best {true:,.0f}")
    return Verdict(holds, f"{what} by {name}: {'; '.join(texts)}", tuple(ZEROSHOT.values()))


def _at(content: dict[str, Any], space: str, score: str, criterion: str, epoch: int) -> float:
    """Published criterion of a space and score at an epoch, mean of the seeds."""
    found = content["summary"][space]
    return float(found[score][criterion][found["epochs"].index(epoch)])


def row_of(content: dict[str, Any], space: str, start: str) -> dict[str, Any]:
    """The first row of a space that begins like that."""
    rows: Sequence[dict[str, Any]] = content["rows"][space]
    return next(row for row in rows if row["what"].startswith(start))


def taus_of(content: dict[str, Any]) -> dict[str, float]:
    """Tau of each single score with the first accuracy, those of no score and of costs left out."""
    rows = content["rows"].items()
    taus = {name: row["kendall_tau"][0] for name, row in rows if ":" not in name}
    costs = ("params", "flops", "mean rank of all")
    return {name: tau for name, tau in taus.items() if name not in costs and tau == tau}


def _best(content: dict[str, Any]) -> tuple[str, float]:
    """Name and tau of the best single score that the paper has too."""
    # swap, zen and others came later.
    known = ("grad_norm", "snip", "grasp", "fisher", "plain", "synflow", "jacob_cov")
    taus = {name: tau for name, tau in taus_of(content).items() if name in (*known, "relu_logdet")}
    name = max(taus, key=lambda key: taus[key])
    return name, taus[name]

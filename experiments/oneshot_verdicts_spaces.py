"""What stored scores of NAS-Bench-301 and NDS say of the statements of the one-shot study.

Judges as in `experiments.oneshot_verdicts`, of the results of `experiments.oneshot_spaces`.
"""

from typing import Any

from experiments import pages
from experiments.oneshot_verdicts import STORED, ZEROSHOT, Verdict, row_of, taus_of
from jnas import metrics

SOURCE = "oneshot_spaces"
_ERRORS = 2  # standard errors that a bias must be beyond


def loss_on_resnexta() -> Verdict:
    """O3 on ResNeXt-A, of which it says nothing."""
    accuracy, loss = row_of(pages.read(STORED), "ResNeXt-A", "tau of accuracy")["found"]
    numbers = f"ResNeXt-A: tau {loss:.3f} by −loss, {accuracy:.3f} by accuracy"
    return Verdict(None, numbers, (STORED,))


def worst_on_resnexta() -> Verdict:
    """O6: WorstAcc@5 % on ResNeXt-A, of which it says nothing."""
    worst = pages.read(SOURCE)["resnexta"]["worst"]
    numbers = f"{worst['worst_accuracy']:.2f} % on ResNeXt-A (tau {worst['kendall']:.3f})"
    return Verdict(None, numbers, (SOURCE,))


def largest_of_resnexta() -> Verdict:
    """A1 on ResNeXt-A at the last epoch; how it was before is not stored."""
    values = pages.read(SOURCE)["resnexta"]["sizes"]["params"]["rank_difference"]
    texts = ", ".join(f"{value:+.3f}" for value in values)
    return Verdict(None, f"ResNeXt-A, by fifths of #params: {texts} at 1,000", (SOURCE,))


def choices_of_resnexta() -> Verdict:
    """A2: some choices of a stage of ResNeXt-A are overestimated beside others."""
    rows = pages.read(SOURCE)["resnexta"]["decisions"]
    texts, is_biased = [], []
    for decision in dict.fromkeys(row["decision"] for row in rows):
        mine = sorted((r for r in rows if r["decision"] == decision), key=lambda r: r["bias"])
        low, high = mine[0], mine[-1]
        is_biased.append(high["bias"] - low["bias"] > _ERRORS * (high["error"] + low["error"]))
        texts.append(
            f"{decision} {low['value']:g} {low['bias']:+.3f}, {high['value']:g} {high['bias']:+.3f}"
        )
    numbers = f"ResNeXt-A, most under- and overestimated choices of a stage: {'; '.join(texts)}"
    return Verdict(all(is_biased), numbers, (SOURCE,))


def steadier_means() -> Verdict:
    """Figure 14: means of several checkpoints differ less from one to the next."""
    texts, holds = [], True
    for score, found in pages.read(SOURCE)["ensembles"].items():
        values = [found[num]["kendall"][-1] for num in ("1", "3", "5")]
        tops = [found[num]["p_top@0.005"][-1] for num in ("1", "3", "5")]
        holds &= min(values[1:]) > values[0] and min(tops[1:]) > tops[0]
        taus, shares = (", ".join(f"{v:.3f}" for v in row) for row in (values, tops))
        texts.append(f"{score} {taus} (P@top .5 % {shares})")
    what = "NAS-Bench-301, relative tau of the mean score of 1, 3, 5 checkpoints"
    return Verdict(holds, f"{what}: {'; '.join(texts)}", (SOURCE,))


def relus_on_nasbench301() -> Verdict:
    """Zero-shot O2 on NAS-Bench-301, with all stored scores beside it; and on NDS."""
    relus = pages.read(SOURCE)["relus"]
    taus = _stored_taus()
    best = max(taus, key=lambda name: abs(taus[name]))
    mine = relus["NAS-Bench-301"]["relus"]
    others = ", ".join(
        f"{space} {found['relus']:.3f} (#params {found['params']:.3f})"
        for space, found in relus.items()
        if space != "NAS-Bench-301"
    )
    numbers = (
        f"NAS-Bench-301: {mine:.3f}, the best stored score is {best} {abs(taus[best]):.3f} "
        f"(absolute); {others}, without stored scores"
    )
    return Verdict(mine > abs(taus[best]), numbers, (SOURCE, STORED))


def zeroshot_on_nasbench301() -> Verdict:
    """Zero-shot O3: which scores are good differs between NAS-Bench-301 and the other spaces."""
    stored, texts, holds = _stored_taus(), [], True
    for space, file in ZEROSHOT.items():
        others = taus_of(pages.read(file))
        shared = [name for name in stored if name in others]
        rho = float(
            metrics.spearman([stored[name] for name in shared], [others[name] for name in shared])
        )
        holds &= rho < 0.8
        texts.append(f"{rho:.2f} with {space} ({len(shared)} scores)")
    best = sorted(stored, key=lambda name: -stored[name])[:3]
    leaders = ", ".join(f"{name} {stored[name]:.3f}" for name in best)
    numbers = f"NAS-Bench-301: Spearman of taus {' and '.join(texts)}; its best are {leaders}"
    return Verdict(holds, numbers, (STORED, *ZEROSHOT.values()))


def _stored_taus() -> dict[str, float]:
    """Tau of each stored zero-shot score of NAS-Bench-301, as stored."""
    rows: list[dict[str, Any]] = pages.read(STORED)["rows"]["zero-shot, NAS-Bench-301"]
    return {row["what"].removeprefix("tau of "): row["found"][0] for row in rows}

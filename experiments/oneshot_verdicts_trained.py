"""What our own supernets say of the statements of the one-shot study.

Settings are compared seed by seed with the base setting of the same scale: a difference counts when
it is more than two standard errors from 0, and otherwise nothing is decided.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from experiments import pages
from experiments.oneshot_supernets import BASE
from experiments.oneshot_verdicts import Verdict

SOURCE = "oneshot_supernets"
_ERRORS = 2.0

Run = dict[str, Any]
Value = Callable[[Run], float]


def several_samples() -> Verdict:
    """S2: several architectures a step do not better P@top 5 %."""
    names = ("3 samples a step", "3 samples, by samples", "FairNAS")
    return _combined([_against_base(name, _end("p_top@0.05"), "P@top 5 %", -1) for name in names])


def classes_sampled() -> Verdict:
    """S3: sampling isomorphic classes is better at the top than sampling cells."""
    return _against_base("isomorphic", _end("p_top@0.05"), "P@top 5 %", -1)


def pruned() -> Verdict:
    """S4: what is left of a pruned space is ranked better than by the whole space's supernet."""
    texts, answers = [], []
    for scale, settings in _scales():
        for label, seeds in settings.items():
            gains = [run["loss"]["kendall"][-1] - run["whole"] for run in seeds if "whole" in run]
            if gains and label.startswith("best"):
                answers.append(_sign(gains))
                texts.append(f"{scale}, {label}: tau {_spread(gains)}")
    return _verdict(texts, answers, 1)


def no_scales() -> Verdict:
    """S5: batch norms with scales rank worse."""
    return _against_base("affine batch norms", _end("kendall"), "tau", -1)


def proxies() -> Verdict:
    """O8: fewer layers do harm."""
    fewer = _against_base("half the channels", _end("kendall"), "tau", 0)
    return _combined([_against_base("half the cells", _end("kendall"), "tau", -1), fewer])


def more_images() -> Verdict:
    """O7: more validation images rank better, once a supernet is trained."""
    texts, answers = [], []
    for scale, settings in _scales():
        runs = [run["batches"] for run in settings.get(BASE, []) if run.get("batches")]
        if runs:
            few, many = min(runs[0], key=int), max(runs[0], key=int)
            gains = [run[many]["accuracy"] - run[few]["accuracy"] for run in runs]
            answers.append(_sign(gains))
            texts.append(f"{scale}: tau of accuracy on {many} instead of {few} {_spread(gains)}")
    return _verdict(texts, answers, 1)


def more_batches() -> Verdict:
    """O7: more validation batches rank better at the end, and not yet after few epochs."""
    kept = pages.read("oneshot_batches")
    taus = {num: rows["kendall"] for num, rows in kept["criteria"]["accuracy"].items()}
    few, many = min(taus, key=int), max(taus, key=int)
    answers, texts = [], []
    for place, epoch in enumerate(kept["epochs"]):
        gains = [b - a for a, b in zip(taus[few][place], taus[many][place], strict=True)]
        answers.append(_sign(gains))
        texts.append(f"after epoch {epoch} {_spread(gains)}")
    answers[:-1] = [-1 if answer > 0 else 1 for answer in answers[:-1]]
    text = f"digits201: tau of accuracy on {many} batches instead of {few}: {', '.join(texts)}"
    return _verdict([text], answers, 1)._replace(sources=("oneshot_batches",))


def sharing_extents() -> Verdict:
    """S4, figure 21: edges that share their weights learn faster, and rank worse at the end."""
    texts, answers = [], []
    for scale, epochs, gains in _above_plain("one bank"):
        answers += [_sign(gains[0]), -_sign(gains[-1])]
        ends = (f"{_spread(gains[place])} after epoch {epochs[place]}" for place in (0, -1))
        texts.append(f"{scale}, all edges of a cell share: tau {', '.join(ends)}")
    return _verdict(texts, answers, 1)._replace(sources=("oneshot_close",))


def close() -> Verdict:
    """CLOSE: it ranks at least as well as the plain supernet after every epoch."""
    texts, answers = [], []
    for label in ("CLOSE, all", "CLOSE, selected"):
        for scale, epochs, gains in _above_plain(label):
            answers += [1 if np.mean(of_epoch) >= 0 else _sign(of_epoch) for of_epoch in gains]
            found = ", ".join(
                f"{_spread(of_epoch)} ({epoch})"
                for epoch, of_epoch in zip(epochs, gains, strict=True)
            )
            texts.append(f"{scale}, {label}: tau {found}")
    return _verdict(texts, answers, 1)._replace(sources=("oneshot_close",))


def _above_plain(label: str) -> Iterator[tuple[str, list[int], list[list[float]]]]:
    """Each scale, its epochs, and by how much tau is above that of plain supernets `[T][S]`."""
    for scale, found in pages.read("oneshot_close")["scales"].items():
        runs, plain = (found["supernets"].get(name, {}) for name in (label, "plain"))
        seeds = [seed for seed in runs if seed in plain]
        if seeds and scale != "quick":
            taus = [
                np.array([of[seed]["loss"]["kendall"] for seed in seeds]) for of in (runs, plain)
            ]
            yield scale, runs[seeds[0]]["epochs"], (taus[0] - taus[1]).T.tolist()


def forgetting() -> Verdict:
    """A3: accuracy that a step has given is lost again, and less of it at the end."""
    source = "oneshot_forgetting"
    runs = list(pages.read(source)["seeds"].values())
    epochs = list(runs[0])
    means = {epoch: [run[epoch]["mean"] for run in runs] for epoch in epochs}
    # Of those before the last, which it is compared with.
    worst = max(epochs[:-1], key=lambda epoch: float(np.mean(means[epoch])))
    falls = [most - last for most, last in zip(means[worst], means[epochs[-1]], strict=True)]
    answers = [_sign(means[worst]), _sign(falls)]
    text = (
        "digits201: accuracy lost, negative where it is gained, at most "
        f"{_spread(means[worst])} after epoch {worst}, and after epoch {epochs[-1]} "
        f"{_spread(means[epochs[-1]])}"
    )
    return _verdict([text], answers, 1)._replace(sources=(source,))


def zeroshot_with_weights() -> Verdict:
    """Z O4b: zero-shot scores rank no better with a supernet's weights than with initial ones."""
    source = "oneshot_axis"
    texts, answers = [], []
    for name, kinds in pages.read(source)["with_trained_weights"].items():
        gains = [b - a for a, b in zip(kinds["initial"], kinds["trained"], strict=True)]
        answers.append(-1 if _sign(gains) == 1 else 1)
        texts.append(f"{name} {_spread(gains)}")
    return _verdict([f"digits201, tau: {', '.join(texts)}"], answers, 1)._replace(sources=(source,))


def mean_weights() -> Verdict:
    """S1: the mean of the weights of the last three checkpoints ranks better than the last."""
    texts, answers = [], []
    for scale, settings in _scales():
        runs = [run for run in settings.get(BASE, []) if run["ensembles"]]
        gains = [run["ensembles"]["weights"] - run["loss"]["kendall"][-1] for run in runs]
        if gains:
            answers.append(_sign(gains))
            texts.append(f"{scale}: tau of the mean of three checkpoints' weights {_spread(gains)}")
    return _verdict(texts, answers, 1)


def _against_base(name: str, value: Value, what: str, sign: int) -> Verdict:
    """Whether a setting is worse (−1), better (1) or the same (0) as the base, on all scales."""
    texts, answers = [], []
    for scale, settings in _scales():
        pairs = list(zip(settings.get(name, []), settings.get(BASE, []), strict=False))
        if pairs:
            gains = [value(mine) - value(base) for mine, base in pairs]
            answers.append(_sign(gains))
            texts.append(f"{scale}, {name}: {what} {_spread(gains)}")
    return _verdict(texts, answers, sign)


def _scales() -> Iterator[tuple[str, dict[str, list[Run]]]]:
    """Each scale and its runs by setting, in the order of their seeds."""
    for scale, found in pages.read(SOURCE)["scales"].items():
        if scale != "quick":
            yield (
                scale,
                {
                    label: [seeds[seed] for seed in sorted(seeds, key=int)]
                    for label, seeds in found["settings"].items()
                },
            )


def _end(criterion: str) -> Value:
    """Criterion of the negated loss at the end of a run."""
    return lambda run: float(run["loss"][criterion][-1])


def _sign(gains: list[float]) -> int:
    """−1 or 1 for a difference of more than two standard errors, otherwise 0."""
    if len(gains) < 2:
        return 0
    mean, error = np.mean(gains), np.std(gains, ddof=1) / np.sqrt(len(gains))
    return int(np.sign(mean)) if abs(mean) > _ERRORS * error else 0


def _spread(gains: list[float]) -> str:
    """Mean difference and its standard error."""
    error = np.std(gains, ddof=1) / np.sqrt(len(gains)) if len(gains) > 1 else np.nan
    return f"{np.mean(gains):+.3f} ± {pages.number(float(error))}"


def _verdict(texts: list[str], answers: list[int], sign: int) -> Verdict:
    """Verdict over scales; FileNotFoundError where nothing has been trained."""
    if not answers:
        raise FileNotFoundError(f"{SOURCE}.json has no runs of these settings yet")
    wrong = [answer for answer in answers if answer == -sign or (sign == 0 and answer)]
    holds = False if wrong else True if all(answer == sign for answer in answers) else None
    return Verdict(holds, "; ".join(texts), (SOURCE,))


def _combined(verdicts: list[Verdict]) -> Verdict:
    """Verdict that holds where all of several do."""
    answers = [verdict.holds for verdict in verdicts]
    holds = False if False in answers else None if None in answers else True
    return Verdict(holds, "; ".join(verdict.numbers for verdict in verdicts), (SOURCE,))

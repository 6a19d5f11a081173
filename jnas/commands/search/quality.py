"""How well a supernet ranks while it is trained: a study on known accuracies, kept as a file.

Kendall's tau-b and P@top of both one-shot scores after some of the epochs, always beside those of
the numbers of parameters and FLOPs. The file has the numbers alone: the weights that they are of
are not kept.
"""

import contextlib
import json
import math
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jnas import oneshot
from jnas.commands.truth import Columns
from jnas.engine import files
from jnas.engine.fingerprints import Fingerprint, Resume, fingerprint
from jnas.engine.fingerprints import check as check_job
from jnas.oneshot import Supernet, published
from jnas.oneshot.study import COSTS
from jnas.types import Dataset

FILE, _KIND = "ranking.json", "ranking quality of a supernet"
SCORES = ("loss", "accuracy")
_KEPT = "ranking"  # folder of the scores while a study goes on

_NUM = 200  # architectures that are scored
_LISTED = 20_000  # rows of a table among which classes are told apart
_SHARES = (0.25, 0.5, 0.75)  # of the epochs, after which weights are kept
# A study of all images would take longer than the training where these are thousands.
_BATCH, _BATCHES = 512, 2
# Architectures among which P@top counts at least: of 5 % of 200, its deviation from draw to draw is
# nearly as large as its mean.
_FEWEST = 10


class Known(NamedTuple):
    """Evaluation set: architectures whose accuracy is known, no two of one class.

    Attributes:
        name: of the column of accuracies, as checks have it.
        convention: which accuracy it holds.
        archs: `[N, D]` int32.
        truth: `[N]`, larger is better.
    """

    name: str
    convention: str
    archs: np.ndarray
    truth: np.ndarray


class Quality(NamedTuple):
    """Ranking quality of a supernet after `E` of its epochs, in values that JSON has.

    Attributes:
        column: of accuracies, the truth.
        convention: which accuracy it holds.
        num: architectures that are ranked.
        images: data set whose validation images they are scored on.
        num_images: how many of these.
        steps: of the training in an epoch.
        epochs: `E` of them, the last one included.
        share: of the architectures that P@top is about; None where there are too few.
        kendall: "loss" (negated), "accuracy", "params" and "flops" → `E` values of Kendall's tau-b,
            those of costs alike; None for one that is not defined.
        p_top: likewise; empty without a share.
    """

    column: str
    convention: str
    num: int
    images: str
    num_images: int
    steps: int
    epochs: list[int]
    share: float | None
    kendall: dict[str, list[float | None]]
    p_top: dict[str, list[float | None]]


def drawn(columns: Columns) -> Known | None:
    """Evaluation set of the first column, or None where nothing is to be ranked.

    It is drawn uniformly from the classes of isomorphic architectures, and the same in every run.
    """
    if not columns:
        return None
    name, (table, column) = next(iter(columns.items()))
    values = table.column(column)
    # Of no seed, so that supernets of several are ranked on the same architectures.
    row_key, class_key = jax.random.split(jax.random.key(0))
    rows = jax.random.permutation(row_key, np.flatnonzero(np.isfinite(values)))[:_LISTED]
    archs, truth = table.archs[np.asarray(rows)], values[np.asarray(rows)]
    codes = np.asarray(jax.jit(jax.vmap(table.space.identity))(jnp.asarray(archs)))
    # A row for each class first: drawn from all rows, large classes would be met more often.
    _, first = np.unique(codes, axis=0, return_index=True)
    chosen = np.asarray(jax.random.permutation(class_key, np.sort(first)))[:_NUM]
    goodness = (-1 if table.minimizes(column) else 1) * truth[chosen].astype(np.float64)
    # Equal accuracies make no ranking.
    if len(set(goodness.tolist())) < 2:
        return None
    return Known(name, table.conventions[column], archs[chosen], goodness)


def kept_epochs(num_epochs: int) -> tuple[int, ...]:
    """Epochs after which the weights are to be kept: after each quarter, but for the last."""
    found = {math.ceil(share * num_epochs) for share in _SHARES}
    return tuple(sorted(found - {num_epochs}))


def study(
    supernet: Supernet,
    dataset: Dataset,
    known: Known | None,
    training: Fingerprint,
    folder: Path,
    resume: Resume,
    progress: bool,
) -> Quality | None:
    """Quality of a supernet with the weights that were kept on the way, written into `folder`.

    One that is there already is read. None where nothing is known, or the training diverged.

    Args:
        supernet: just trained.
        dataset: of the training; its validation images are scored with.
        known: evaluation set.
        training: fingerprint of the supernet's job.
        folder: of the run.
        resume: False measures anew; "anyway" takes over what other code has measured.
        progress: show bars on standard error.

    Raises:
        ValueError: the folder holds the scores of another study.
        OSError: a file cannot be read or written.
    """
    if known is None or supernet.failed_at.any():
        # That of an earlier training is not of this one.
        files.remove(folder / FILE)
        return None
    found = read(folder, known, training, resume) if resume else None
    if found is None:
        found = _measured(supernet, dataset, known, folder / _KEPT, resume, progress)
        about = {"fingerprint": _job(training, known)._asdict()}
        with files.replacing(folder / FILE, _KIND, "out") as file:
            file.write((json.dumps(about | found._asdict(), indent=1) + "\n").encode())
    for path in (folder / _KEPT).glob("*.npz"):
        files.remove(path)
    with contextlib.suppress(OSError):
        (folder / _KEPT).rmdir()
    return found


def read(
    folder: Path, known: Known | None, training: Fingerprint, resume: Resume
) -> Quality | None:
    """Quality that `folder` has of a supernet and an evaluation set; None where it has another."""
    if known is None:
        return None
    try:
        facts = dict(json.loads((folder / FILE).read_text()))
        check_job(facts.pop("fingerprint"), _job(training, known), f"{folder}", resume)
        return Quality(**facts)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _job(training: Fingerprint, known: Known) -> Fingerprint:
    """Fingerprint of a study of the supernet of a job."""
    return fingerprint(training.job, known.name, known.archs, known.truth)


def _measured(
    supernet: Supernet,
    dataset: Dataset,
    known: Known,
    out: Path,
    resume: Resume,
    progress: bool,
) -> Quality:
    """Quality by a study, whose scores `out` keeps while it goes on."""
    images = len(dataset.validation.y)
    batches = min(_BATCHES, -(-images // _BATCH))
    scored = oneshot.study(
        supernet,
        dataset,
        known.archs,
        known.truth,
        batch_size=_BATCH,
        batches=batches,
        out=out,
        resume=resume,
        progress=progress,
    )
    # Costs do not change with the epochs; repeated, all are rows of one program.
    num = len(scored.epochs)
    rows = [scored.scores[name][:, 0] for name in SCORES]
    rows += [np.broadcast_to(scored.costs[name], (num, len(known.archs))) for name in COSTS]
    share = published.SHARE if published.SHARE * len(known.archs) >= _FEWEST else None
    ratios = () if share is None else (share,)
    found = oneshot.criteria(np.stack(rows).astype(np.float64), known.truth, ratios=ratios)
    return Quality(
        known.name,
        known.convention,
        len(known.archs),
        dataset.name,
        min(images, batches * _BATCH),
        len(dataset.train.y) // supernet.recipe.training.batch_size,
        list(scored.epochs),
        share,
        _named(found["kendall"]),
        {} if share is None else _named(found[f"p_top@{share:g}"]),
    )


def _named(values: np.ndarray) -> dict[str, list[Any]]:
    """Values `[4, E]` of both scores and both costs by name; None for NaN, which JSON has not."""
    rows = [[value if math.isfinite(value) else None for value in row] for row in values.tolist()]
    return dict(zip((*SCORES, *COSTS), rows, strict=True))

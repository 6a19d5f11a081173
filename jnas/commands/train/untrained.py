"""Random candidates within limits, and a vote of scores of them that needs no training."""

import jax
import jax.numpy as jnp
import numpy as np

from jnas import population, zeroshot
from jnas.commands import networks
from jnas.commands.train import images
from jnas.commands.train.sizes import Size
from jnas.commands.train.trainings import Tried
from jnas.commands.train.work import Work
from jnas.engine.progress import reporting
from jnas.types import Suite

# Of all scores and votes that were measured on NAS-Bench-201 (experiments/results/
# zeroshot_proxies.md), this vote has the best architecture among its first: the best of its top
# hundredth is number 6 of 1,000, and one is as quick as an evaluation of the network.
SCORES = ("relu_logdet", "jacob_cov", "synflow")
_NUM_IMAGES = 64
_MAX_DRAWS = 40  # times the number of candidates, until those within the limits are enough
_CHUNK = 20  # scored between two looks at the clock


def scored(work: Work) -> tuple[Tried, list[str]]:
    """Candidates, best first by the vote, and what limits and lack of time left out.

    Those of a space of sizes have no scores, and the largest is first.
    """
    archs, cuts = draw(work), list[str]()
    asked = work.settings.candidates or 0
    if len(archs) < asked:
        cuts.append(
            f"{len(archs):,} candidates in place of {asked:,}: so many are within the limits"
        )
    if ranks_by_size(work):
        sizes = [work.sizes.of(arch) for arch in archs]
        order = np.argsort([-size.params for size in sizes], kind="stable")
        return Tried(archs[order], [sizes[row] for row in order]), cuts
    tried, more = _voted(work, archs)
    return tried, cuts + more


def _voted(work: Work, archs: np.ndarray) -> tuple[Tried, list[str]]:
    """Candidates with their scores, best first by the vote, and what was left out."""
    scores, cuts = _scores(work, archs), list[str]()
    num = len(next(iter(scores.values())))
    wins = np.asarray(zeroshot.majority(jnp.stack([scores[name] for name in SCORES])))
    # What a score cannot rank has no path from input to output, and nothing to learn.
    wins = np.where(np.isfinite(np.stack([*scores.values()])).all(axis=0), wins, -np.inf)
    order = np.argsort(-wins, kind="stable")
    order = order[np.isfinite(wins[order])]
    if not len(order):
        raise ValueError(f"none of {num:,} candidates can be ranked; draw more of them")
    if num < len(archs):
        cuts.append(f"for the time, {num:,} candidates were scored in place of {len(archs):,}")
    if len(order) < num:
        cuts.append(f"{num - len(order):,} of {num:,} candidates, whose scores are not finite")
    sizes = [work.sizes.of(archs[row]) for row in order]
    ranked = {name: np.asarray(values)[order] for name, values in scores.items()}
    return Tried(archs[order], sizes, ranked), cuts


def ranks_by_size(work: Work) -> bool:
    """Whether candidates are ranked by their numbers of parameters."""
    # On NDS those rank better than scores do (experiments/results/nds_zeroshot.md), and each of a
    # few dozens of candidates would need a program of its own.
    return networks.chooses_sizes(work.settings.space)


def draw(work: Work) -> np.ndarray:
    """Random architectures `[n, D]`, no two isomorphic, within the limits that can be counted.

    Raises:
        ValueError: none is; the message has the smallest that was drawn.
    """
    space, asked = work.network.space, work.settings.candidates or 1
    counted = work.limits._replace(milliseconds=None)
    sample, identity = jax.jit(jax.vmap(space.sample)), jax.jit(jax.vmap(space.identity))
    found: dict[bytes, np.ndarray] = {}
    seen: dict[bytes, Size] = {}
    with reporting("drawing", asked, shown=work.progress, unit="candidates") as report:
        for number in range(_MAX_DRAWS):
            keys = jax.random.split(jax.random.fold_in(work.keys.draw, number), asked)
            archs = sample(keys)
            names = [row.tobytes() for row in np.asarray(identity(archs))]
            for name, arch in zip(names, np.asarray(archs, np.int32), strict=True):
                # Isomorphic ones are the same network, and would be trained twice.
                if name in seen or len(found) == asked:
                    continue
                seen[name] = work.sizes.of(arch)
                if not counted.broken(seen[name]):
                    found[name] = arch
                report(len(found))
            if len(found) == asked:
                break
    if not found:
        raise ValueError(
            f"none of {len(seen):,} random networks is within the limits: the smallest have "
            f"{min(size.params for size in seen.values()):,} parameters and "
            f"{min(size.macs for size in seen.values()):,} multiply-accumulates"
        )
    return np.stack([*found.values()])


def best(work: Work, tried: Tried, num: int) -> np.ndarray:
    """Places of the first `num` candidates in the order of the vote that keep the latency.

    Raises:
        ValueError: none does.
    """
    if work.limits.milliseconds is None:
        return np.arange(min(num, len(tried.archs)))
    known = work.decisions.read().get("milliseconds", {})
    places: list[int] = []
    for place, arch in enumerate(tried.archs):
        text = work.network.space.to_string(arch)
        if text not in known:
            known[text] = work.sizes.measured(arch).milliseconds
            # Kept, for the next measurement would be another, and the choice with it.
            work.decisions.keep(milliseconds=known)
        tried.sizes[place] = tried.sizes[place]._replace(milliseconds=known[text])
        if not work.limits.broken(tried.sizes[place]):
            places.append(place)
        if len(places) == num:
            break
    if not places:
        least = min(size.milliseconds for size in tried.sizes)
        raise ValueError(
            f"none of {len(tried.archs):,} candidates is within {work.limits.milliseconds:g} ms; "
            f"the quickest takes {least:g} ms an image"
        )
    return np.asarray(places)


def _scores(work: Work, archs: np.ndarray) -> dict[str, np.ndarray]:
    """Scores `[n]` of the first `n` candidates, all of them but for lack of time."""
    sample = images.batch(work.dataset, _NUM_IMAGES, work.keys.score)
    suite = zeroshot.suite(work.network, sample, names=SCORES)
    if work.clock.seconds is None:
        return _part(work, suite, archs, "scores.npz")
    # As many as an earlier call has scored: how far it came was a matter of its speed.
    known = work.decisions.read().get("scored")
    parts: list[dict[str, np.ndarray]] = []
    for begin in range(0, known or len(archs), _CHUNK):
        if known is None and begin and not work.clock.may_score:
            break
        rows = archs[begin : begin + _CHUNK]
        parts.append(_part(work, suite, rows, f"scores-{begin // _CHUNK:03}.npz"))
    scores = {name: np.concatenate([part[name] for part in parts]) for name in SCORES}
    work.decisions.keep(scored=len(scores[SCORES[0]]))
    return scores


def _part(work: Work, suite: Suite, archs: np.ndarray, name: str) -> dict[str, np.ndarray]:
    """Scores of some candidates, kept in a file of the folder."""
    found = population.score(
        suite,
        jnp.asarray(archs),
        work.keys.score,
        out=work.folder / name,
        resume=work.resume,
        progress=work.progress,
    )
    return {score: np.asarray(values) for score, values in found.items()}

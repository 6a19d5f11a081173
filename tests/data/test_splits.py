"""Stratified splits: shares of classes, groups that stay together."""

import jax
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from jnas.data import splits


@settings(max_examples=15, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 30), min_size=2, max_size=5),
    shares=st.tuples(st.floats(0, 0.4), st.floats(0, 0.4)),
    seed=st.integers(0, 99),
)
def test_classes_have_their_share_of_every_part(sizes, shares, seed) -> None:
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    num = len(labels)
    counts = [min(round(num * share), (num - len(sizes)) // 2) for share in shares]
    parts = splits.stratified(labels, counts, jax.random.key(seed))
    assert [len(part) for part in parts[1:]] == counts
    assert sorted(np.concatenate(parts).tolist()) == list(range(num))
    assert set(labels[parts[0]]) == set(range(len(sizes)))
    if min(sizes) > 8:  # then no class is short of images
        for part, count in zip(parts[1:], counts, strict=True):
            found = np.bincount(labels[part], minlength=len(sizes))
            assert np.all(np.abs(found - count * np.asarray(sizes) / num) < 1)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 99), num_groups=st.integers(5, 40), share=st.floats(0, 0.4))
def test_groups_stay_together(seed, num_groups, share) -> None:
    rng = np.random.default_rng(seed)
    groups = np.r_[rng.integers(0, num_groups, 50), 100, 101]
    labels = np.r_[groups[:-2] % 3, 3, 3]
    counts = [round(15 * share), round(10 * share)]
    parts = splits.stratified(labels, counts, jax.random.key(seed), groups)
    of_parts = [set(groups[part].tolist()) for part in parts]
    assert sum(map(len, of_parts)) == len(set(groups.tolist()))
    assert all(len(part) <= count for part, count in zip(parts[1:], counts, strict=True))


def test_copies_are_numbered_by_the_first() -> None:
    x = np.arange(4 * 3, dtype=np.uint8).reshape(4, 1, 3, 1)
    found = splits.copies(x[[0, 1, 0]], x[[3, 1, 3]])
    assert found.tolist() == [0, 1, 0, 3, 1, 3]

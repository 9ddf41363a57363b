"""Find near-duplicates: images whose fingerprints differ in few bits, plain or mirrored.

Near-duplicates differ in fine detail, other pictures of one kind (faces before a plain wall, say) in the coarse
structure. So three nested bands are held to a limit each: all 255 frequencies to `max_bits`, the 63 lowest to an
eighth of it and the 15 lowest to a twentieth.

All pairs would be quadratic, and an index by exact blocks of bits finds little at such distances. So the fingerprints
are sorted in several random orders of their bits and each is compared with the next ones in every order (Charikar,
"Similarity Estimation Techniques from Rounding Algorithms", STOC 2002). Every link is verified over all bits; one near
the limit may be missed in a large set. Time is that of sorting; memory is some hundred bytes per fingerprint.
"""

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from affect_tasks.data.fingerprint import FREQUENCIES, mirror_fingerprints

_ORDERS, _NEIGHBOURS = 32, 16
# Sorted rows are compared a block at a time, which stays in the processor's cache.
_BLOCK = 1 << 14


def group_fingerprints(words: np.ndarray, *, max_bits: int) -> np.ndarray:
    """Number the groups of near-duplicates, directly or through others, also where one picture is mirrored.

    Args:
        words: Distinct fingerprints as machine words, (n, 4) uint64. Their order does not matter.
        max_bits: Largest number of bits, of 255, in which two near-duplicates differ.

    Returns:
        Each fingerprint's group, (n,) int, from 0 on.
    """
    ranked = np.lexsort(words.T)
    both = np.concatenate([words[ranked], mirror_fingerprints(words[ranked])])
    # Always the same orders: the groups follow from the fingerprints alone.
    orders = np.random.default_rng(0x9A17)
    # Bits to sort by are the 8 x 8 lowest frequencies, the first byte of 8 rows: alterations touch them least.
    bits = np.unpackbits(both.view(np.uint8)[:, : FREQUENCIES : FREQUENCIES // 8], axis=1)
    groups = np.arange(len(words))
    for _ in range(_ORDERS):
        found = _compare_neighbours(both, _sort_by_bits(bits, orders), max_bits)
        pairs = groups[ranked[found % len(words)]]
        groups = link_groups(pairs[pairs[:, 0] != pairs[:, 1]], len(words))[groups]
    return groups


def link_groups(pairs: np.ndarray, count: int) -> np.ndarray:
    """Number the connected parts of a graph.

    Args:
        pairs: Linked nodes, (m, 2) int.
        count: How many nodes there are.

    Returns:
        Each node's part, (count,) int, from 0 on.
    """
    links = coo_array((np.ones(len(pairs), dtype=bool), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    return connected_components(links, directed=False)[1].astype(np.int64)


def are_near(first: np.ndarray, second: np.ndarray, *, max_bits: int) -> np.ndarray:
    """Tell which pairs of fingerprints are near-duplicates, (n,) bool, of two (n, 4) uint64 arrays."""
    differing = first ^ second
    near = np.ones(len(first), dtype=bool)
    for band, share in ((FREQUENCIES, 1), (FREQUENCIES // 2, 8), (FREQUENCIES // 4, 20)):
        counts = np.bitwise_count(differing & _mask_lowest(band)).sum(axis=1, dtype=np.int64)
        near &= counts <= max_bits // share
    return near


def _mask_lowest(band: int) -> np.ndarray:
    """Return the words whose set bits are the `band` x `band` lowest frequencies, (4,) uint64."""
    bits = np.zeros((FREQUENCIES, FREQUENCIES), dtype=bool)
    bits[:band, :band] = True
    return np.packbits(bits).view(np.uint64)


def _sort_by_bits(bits: np.ndarray, orders: np.random.Generator) -> np.ndarray:
    """Sort rows by their 64 bits, taken in a random order."""
    packed = np.packbits(np.take(bits, orders.permutation(64), axis=1), axis=1)
    return np.argsort(np.ascontiguousarray(packed).view(np.uint64).ravel(), kind="stable")


def _compare_neighbours(words: np.ndarray, order: np.ndarray, max_bits: int) -> np.ndarray:
    """Return the near-duplicates among rows at most _NEIGHBOURS apart in an order, (pairs, 2) int64."""
    columns = np.ascontiguousarray(words[order].T)
    found = [np.empty((0, 2), dtype=np.int64)]
    for start in range(0, len(order), _BLOCK):
        block = columns[:, start : start + _BLOCK + _NEIGHBOURS]
        for lag in range(1, min(_NEIGHBOURS, block.shape[1] - 1) + 1):
            left, right = block[:, : min(_BLOCK, block.shape[1] - lag)], block[:, lag : lag + _BLOCK]
            counts = np.bitwise_count(left ^ right)
            total = (counts[0].astype(np.uint16) + counts[1]) + (counts[2].astype(np.uint16) + counts[3])
            close = np.flatnonzero(total <= max_bits) + start
            pairs = np.stack([order[close], order[close + lag]], axis=1)
            found.append(pairs[are_near(words[pairs[:, 0]], words[pairs[:, 1]], max_bits=max_bits)])
    return np.concatenate(found)

"""Networks that differ by one layer: what evolution mutates to and local search climbs over."""

from collections.abc import Iterator

import numpy as np

from agents.base import Sequences

Actions = tuple[int, ...]

_TRIES = 10_000
"""Mutations that are drawn before a parent counts as one without legal neighbours."""


def mutate(
    parent: Actions, num_actions: int, sequences: Sequences, rng: np.random.Generator
) -> Actions:
    """A neighbour drawn at random: a layer changed, inserted or removed.

    Each kind is proposed equally often, until a neighbour is legal: removals more often are. Limits
    on the cost can leave a parent alone: then any network, drawn uniformly.
    """
    for _ in range(_TRIES):
        child = list(parent)
        kind = rng.integers(3)
        position = int(rng.integers(len(parent) + (kind == 1)))
        action = int(rng.integers(num_actions))
        if kind == 0:
            child[position] = action
        elif kind == 1:
            child.insert(position, action)
        else:
            del child[position]
        if tuple(child) != parent and sequences.is_complete(child):
            return tuple(child)
    return sequences.sample(rng)


def neighbours(parent: Actions, num_actions: int, sequences: Sequences) -> list[Actions]:
    """Every legal sequence that a change, an insertion or a removal of one layer leads to."""
    edits = {edit for edit in _edits(parent, num_actions) if edit != parent}
    return sorted(edit for edit in edits if sequences.is_complete(edit))


def _edits(parent: Actions, num_actions: int) -> Iterator[Actions]:
    for position in range(len(parent) + 1):
        before, after = parent[:position], parent[position:]
        yield from ((*before, action, *after) for action in range(num_actions))
        if after:
            yield before + after[1:]
            yield from ((*before, action, *after[1:]) for action in range(num_actions))

"""Observations: one row of a table for every state of the compiled MDP, and what is spent."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from gym_cnnarch.mdp import MDP, Spent
from gym_cnnarch.space.costs import BINS, CostTables

ObservationKind = Literal["multidiscrete", "onehot", "dict"]
Observation = NDArray[Any] | dict[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Observer:
    """The observations of an MDP of S states.

    Attributes:
        space: Of one observation.
        mdp: The MDP, which knows the legal actions.
        rows: (S, k), what is shown of the state tuple.
        shares: (BINS + 1, j), what is shown of each share of a limit that is spent, if it is.
        with_mask: Whether the legal actions are shown too.
    """

    space: spaces.Space[Any]
    mdp: MDP
    rows: NDArray[Any]
    shares: NDArray[Any] | None
    with_mask: bool

    def of(self, state: int, spent: Spent) -> Observation:
        """The observation of a state, the caller's own."""
        row = np.array(self.rows[state])  # half the time of take
        if self.shares is not None and self.mdp.costs is not None:
            row = np.append(row, _shown(self.mdp.costs, self.shares, spent))
        if not self.with_mask:
            return row
        mask = np.array(self.mdp.mask(state, spent), dtype=np.int8)
        return {"observation": row, "action_mask": mask}

    def of_each(self, states: NDArray[np.int64], spent: Spent) -> Observation:
        """The observations of (N,) states, stacked."""
        rows = self.rows.take(states, axis=0)
        if self.shares is not None and self.mdp.costs is not None:
            shown = _shown(self.mdp.costs, self.shares, spent)
            rows = np.concatenate([rows, shown], axis=1)
        if not self.with_mask:
            return rows
        return {"observation": rows, "action_mask": self.mdp.masks(states, spent).view(np.int8)}


def _shown(costs: CostTables, shares: NDArray[Any], spent: Spent) -> NDArray[Any]:
    """(K j,) or (N, K j), the share of each limit that is spent."""
    return shares[costs.shares(spent)].reshape(*spent.shape[:-1], -1)


def make_observer(mdp: MDP, kind: ObservationKind, observe_budget: bool = False) -> Observer:
    """The observations of an MDP.

    Args:
        mdp: States, their tuples and masks.
        kind: ``multidiscrete``, the state tuple itself; ``onehot``, its fields one-hot after each
            other, float32; ``dict``, this as ``observation``, beside ``action_mask``.
        observe_budget: Whether the share of each limit on the cost that is spent comes after the
            state tuple, as a field of ``BINS`` + 1 values.
    """
    shares: NDArray[Any] | None = None
    nvec = mdp.nvec
    if observe_budget and mdp.costs is not None:
        shares = np.arange(BINS + 1)[:, None]
        nvec = np.append(nvec, [BINS + 1] * len(mdp.costs.limits))
    if kind == "multidiscrete":
        return Observer(spaces.MultiDiscrete(nvec), mdp, mdp.observations, shares, False)
    box = spaces.Box(0.0, 1.0, (int(nvec.sum()),), np.float32)
    rows = _onehot(mdp.observations, mdp.nvec)
    shares = None if shares is None else _onehot(shares, np.array([BINS + 1]))
    if kind == "onehot":
        return Observer(box, mdp, rows, shares, False)
    masks = spaces.MultiBinary(mdp.legal.shape[1])
    space = spaces.Dict({"observation": box, "action_mask": masks})
    return Observer(space, mdp, rows, shares, True)


def _onehot(values: NDArray[np.int64], nvec: NDArray[np.int64]) -> NDArray[np.float32]:
    """(n, k) fields of ``nvec`` values each, as (n, sum of nvec) zeros and ones."""
    ends = np.cumsum(nvec)
    rows = np.zeros((len(values), ends[-1]), dtype=np.float32)
    np.put_along_axis(rows, values + ends - nvec, 1.0, axis=1)
    rows.setflags(write=False)
    return rows

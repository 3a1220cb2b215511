"""Observations: one row of a table for every state of the compiled MDP."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from gym_cnnarch.mdp import MDP

ObservationKind = Literal["multidiscrete", "onehot", "dict"]
Observation = NDArray[Any] | dict[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Observer:
    """The observations of S states.

    Attributes:
        space: Of one observation.
        rows: (S, k), what is shown of the state tuple.
        masks: (S, A) int8, the legal actions, where they are shown too.
    """

    space: spaces.Space[Any]
    rows: NDArray[Any]
    masks: NDArray[np.int8] | None = None

    def of(self, state: int) -> Observation:
        """The observation of a state, the caller's own."""
        row = np.array(self.rows[state])  # half the time of take
        if self.masks is None:
            return row
        return {"observation": row, "action_mask": np.array(self.masks[state])}

    def of_each(self, states: NDArray[np.int64]) -> Observation:
        """The observations of (N,) states, stacked."""
        rows = self.rows.take(states, axis=0)
        if self.masks is None:
            return rows
        return {"observation": rows, "action_mask": self.masks.take(states, axis=0)}


def make_observer(mdp: MDP, kind: ObservationKind) -> Observer:
    """The observations of an MDP.

    Args:
        mdp: States, their tuples and masks.
        kind: ``multidiscrete``, the state tuple itself; ``onehot``, its fields one-hot after each
            other, float32; ``dict``, this as ``observation``, beside ``action_mask``.
    """
    if kind == "multidiscrete":
        return Observer(spaces.MultiDiscrete(mdp.nvec), mdp.observations)
    box = spaces.Box(0.0, 1.0, (int(mdp.nvec.sum()),), np.float32)
    ends = np.cumsum(mdp.nvec)
    rows = np.zeros((len(mdp.observations), ends[-1]), dtype=np.float32)
    np.put_along_axis(rows, mdp.observations + ends - mdp.nvec, 1.0, axis=1)
    rows.setflags(write=False)
    if kind == "onehot":
        return Observer(box, rows)
    masks = mdp.legal.astype(np.int8)
    shown = {"observation": box, "action_mask": spaces.MultiBinary(masks.shape[1])}
    return Observer(spaces.Dict(shown), rows, masks)

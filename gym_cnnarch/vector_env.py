"""The same environment for many episodes at once, by array look-ups."""

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from gym_cnnarch import rendering
from gym_cnnarch.env import CNNArchEnv
from gym_cnnarch.errors import InvalidInput
from gym_cnnarch.mdp import OBSERVATION_FIELDS, START, compile_mdp
from gym_cnnarch.observation import Observation
from gym_cnnarch.rewards.evaluation import Evaluator
from gym_cnnarch.rewards.table_evaluator import TableEvaluator
from gym_cnnarch.space.architecture import Architecture, Layer
from gym_cnnarch.space.search_space import SearchSpace
from gym_cnnarch.vector_lookup import TableColumns, UniformStreams

Infos = dict[str, Any]


class CNNArchVectorEnv(VectorEnv[Observation, NDArray[np.int64], NDArray[Any]]):
    """N environments ``CNNArchEnv`` in one, step by step equal to a ``SyncVectorEnv`` of them.

    Transitions, observations, masks and, with a table, rewards are array look-ups; with any other
    evaluator the networks that are finished in a step are evaluated together, or one after the
    other. With objectives rewards are (N, k) float32.

    Args:
        num_envs: N.
        autoreset_mode: When an environment whose episode has ended is reset: ``NextStep`` (by the
            next step, whose action may be any), ``SameStep`` (at once; the last observation and
            info are in ``final_obs`` and ``final_info``) or ``Disabled`` (by
            ``reset(options={"reset_mask": mask})``).
        max_episode_steps: None; ``gym.make_vec`` passes on what it was given.
        render_mode: Of ``CNNArchEnv``, or with ``_list`` at its end: ``render`` then gives each
            environment's frames since its last reset or the last call.
        arguments: Those of ``CNNArchEnv``.

    Raises:
        InvalidInput: If an argument cannot be used.
    """

    metadata = CNNArchEnv.metadata

    def __init__(
        self,
        num_envs: int = 1,
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
        max_episode_steps: int | None = None,
        render_mode: str | None = None,
        **arguments: Any,
    ) -> None:
        self.closed = True  # so far: Gymnasium 1.2 closes what it deletes
        if max_episode_steps is not None:
            raise InvalidInput(
                "Episodes end by themselves and are not truncated here: limit max_layers of the "
                "search space, or make the environment with vectorization_mode='sync'."
            )
        try:
            self.autoreset_mode = AutoresetMode(autoreset_mode)
        except ValueError as error:
            modes = ", ".join(mode.value for mode in AutoresetMode)
            raise InvalidInput(
                f"autoreset_mode must be one of {modes}, not {autoreset_mode!r}."
            ) from error
        frame_mode = None if render_mode is None else render_mode.removesuffix("_list")
        self._env = CNNArchEnv(render_mode=frame_mode, **arguments)
        self.closed = False
        self.render_mode = render_mode
        self._frames: list[list[Any]] | None = None
        if render_mode != frame_mode:
            self._frames = [[] for _ in range(num_envs)]
        self.num_envs = num_envs
        self.metadata = {**self.metadata, "autoreset_mode": self.autoreset_mode}
        self.single_action_space = self._env.action_space
        self.single_observation_space = self._env.observation_space
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self._no_rewards = np.zeros(num_envs)
        if self._env.objectives:
            self.reward_space = self._env.reward_space  # of one, as in MO-Gymnasium
            self._no_rewards = np.zeros((num_envs, *self.reward_space.shape), np.float32)
        self._tabulate()
        self._streams = UniformStreams(num_envs)
        self._begun = False
        self._ended = np.ones(num_envs, dtype=bool)  # until the first reset of each
        self._states = np.full(num_envs, START)
        self._spent = np.zeros((num_envs, self._mdp.num_limits), dtype=np.int64)
        self._ranks = np.zeros(num_envs, dtype=np.int64)
        self._actions = np.zeros((num_envs, self.search_space.max_layers + 1), dtype=np.int64)

    @property
    def evaluator(self) -> Evaluator | None:
        """What all environments ask."""
        return self._env.evaluator

    @property
    def search_space(self) -> SearchSpace:
        """The space of all environments."""
        return self._env.search_space

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Observation, Infos]:
        """Starts with empty networks.

        Args:
            seed: One for all, environment i then getting ``seed`` + i, or one for each.
            options: ``reset_mask``, (N,) bool: the environments to reset; the others go on.
        """
        which = _reset_mask(options, self.num_envs)
        seeds = [seed + i for i in range(self.num_envs)] if isinstance(seed, int) else seed
        if seeds is not None:
            if len(seeds) != self.num_envs:
                raise ValueError(f"Expected {self.num_envs} seeds, but came {len(seeds)}.")
            for i in np.flatnonzero(which).tolist():
                self._streams.seed(i, seeds[i])
        self._begun = True
        self._restart(which)
        self._collect_frames(which)
        return self._observations(), self._completed({}, which)

    def step(
        self, actions: NDArray[np.int64]
    ) -> tuple[Observation, NDArray[Any], NDArray[Any], NDArray[Any], Infos]:
        """Adds a layer to each network; terminators evaluate theirs.

        Raises:
            gymnasium.error.ResetNeeded: If an episode has ended, or not begun, and is not reset by
                itself.
            gymnasium.error.InvalidAction: If an action is outside the action space, or illegal with
                ``invalid_action="raise"``.
        """
        actions = np.asarray(actions)
        if not self.action_space.contains(actions):
            raise gym.error.InvalidAction(
                f"Expected {self.num_envs} integers from 0 to {self._mdp.legal.shape[1] - 1}, but "
                f"came {actions!r}."
            )
        active = ~self._ended
        if not self._begun or (self.autoreset_mode != AutoresetMode.NEXT_STEP and not active.all()):
            raise gym.error.ResetNeeded("An episode has ended or not begun: call reset() first.")
        cells = self._states * self._mdp.legal.shape[1] + actions
        legal = self._mdp.allows(cells, self._spent)
        if self._env.invalid_action == "raise" and not legal[active].all():
            first = int(np.flatnonzero(active & ~legal)[0])
            state, action = int(self._states[first]), int(actions[first])
            raise self._env.illegal(state, self._spent[first], action)
        self._restart(self._ended)
        legal &= active
        self._add_layers(np.flatnonzero(legal), actions, cells)
        finished = legal & self._mdp.terminal.take(self._states)
        self._ended = finished | (active & ~legal)
        rewards = self._no_rewards.copy()
        infos = self._evaluate(np.flatnonzero(finished), rewards)
        invalid = self._ended & ~finished
        if invalid.any():
            rewards[invalid] = self._env.worst_reward
            infos |= {"invalid_action": invalid, "_invalid_action": invalid.copy()}
        terminated = self._ended
        if self.autoreset_mode == AutoresetMode.SAME_STEP and terminated.any():
            infos = self._final_info(infos, terminated)
            self._restart(terminated)
        everywhere = np.ones(self.num_envs, dtype=bool)
        self._collect_frames(everywhere)
        infos = self._completed(infos, everywhere)
        truncated = np.zeros(self.num_envs, dtype=bool)
        return self._observations(), rewards, terminated.copy(), truncated, infos

    @property  # type: ignore[misc]
    def np_random(self) -> tuple[np.random.Generator, ...]:  # type: ignore[override]
        """The generator of each environment, (N,), as ``SyncVectorEnv`` has it.

        Where a table's repeats are drawn, they have given some numbers ahead of their use.
        """
        return tuple(self._streams.generator(i) for i in range(self.num_envs))

    @property
    def np_random_seed(self) -> tuple[int, ...]:  # type: ignore[override]
        """The seed of each environment, (N,), as ``SyncVectorEnv`` has it."""
        return tuple(self._streams.seed_of(i) for i in range(self.num_envs))

    def close_extras(self, **kwargs: Any) -> None:
        """Closes the evaluator as ``CNNArchEnv`` does."""
        self._env.close()

    def action_masks(self) -> NDArray[np.bool_]:
        """(N, A) bool, the legal actions."""
        return self._mdp.masks(self._states, self._spent)

    def render(self) -> tuple[Any, ...] | None:
        """The networks so far, each as ``CNNArchEnv`` renders it, or lists of them."""
        if self.render_mode is None:
            gym.logger.warn("render() needs render_mode='ansi' or 'rgb_array'.")
            return None
        if self._frames is None:
            return tuple(self._frame(i) for i in range(self.num_envs))
        collected, self._frames = self._frames, [[] for _ in range(self.num_envs)]
        return tuple(collected)

    def _tabulate(self) -> None:
        """Makes the arrays that follow from the arguments."""
        self._mdp = compile_mdp(self.search_space, self._env.observe_size)
        self._observer = self._env.observer
        self._depths = self._mdp.observations[:, OBSERVATION_FIELDS.index("depth")]
        self._results = None
        countable = self.search_space.of_any_cost.count() < 2**63
        if countable and type(self.evaluator) is TableEvaluator:  # a subclass may answer otherwise
            self._results = TableColumns(self._env, self.evaluator, self._mdp)
        self._needs_layers = self._results is None or self.render_mode is not None

    def __getstate__(self) -> dict[str, Any]:
        """All but what a deep copy makes anew, as its evaluator: see ``CNNArchEnv``."""
        made = ("_mdp", "_observer", "_depths", "_results", "_needs_layers")
        return {name: value for name, value in self.__dict__.items() if name not in made}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Puts a copy into the copied state."""
        self.__dict__.update(state)
        self._tabulate()

    def _frame(self, i: int) -> str | NDArray[np.uint8]:
        if self._env.render_mode == "ansi":
            return rendering.ansi(self._layers(i), self.search_space.input_shape)
        return rendering.rgb_array(self._layers(i), self.search_space)

    def _collect_frames(self, which: NDArray[np.bool_]) -> None:
        if self._frames is not None:
            for i in np.flatnonzero(which).tolist():
                self._frames[i].append(self._frame(i))

    def _restart(self, which: NDArray[np.bool_]) -> None:
        self._states[which] = START
        if self._mdp.costs is not None:
            self._spent[which] = 0
        self._ranks[which] = 0
        self._ended = self._ended & ~which
        if self._frames is not None:
            for i in np.flatnonzero(which).tolist():
                self._frames[i] = []

    def _add_layers(
        self, which: NDArray[np.int64], actions: NDArray[np.int64], cells: NDArray[np.int64]
    ) -> None:
        """Moves on where the action is legal; ``cells`` are (state, action) as flat positions."""
        chosen = cells[which]
        if self._needs_layers:
            self._actions[which, self._depths[self._states[which]]] = actions[which]
        if self._results is not None:
            self._ranks[which] += self._results.smaller.take(chosen)
        self._states[which] = self._mdp.next_state.take(chosen)
        if self._mdp.costs is not None:
            self._spent[which] += self._mdp.costs.of_each(chosen)

    def _layers(self, i: int) -> list[Layer]:
        actions = self._actions[i, : self._depths[self._states[i]]]
        return [self.search_space.actions[action] for action in actions]

    def _evaluate(self, which: NDArray[np.int64], rewards: NDArray[Any]) -> Infos:
        """The final infos of the environments whose network is finished; fills in their rewards."""
        if len(which) == 0:
            return {}
        if self._results is None:
            infos: Infos = {}
            finished = [Architecture(tuple(self._layers(i))) for i in which.tolist()]
            generators = [self._streams.generator(i) for i in which.tolist()]
            results = self._env.judge_many(finished, generators)
            for i, (rewards[i], info) in zip(which.tolist(), results, strict=True):
                infos = self._add_info(infos, info, i)
            return infos
        cells = self._results.positions(self._ranks[which])
        if self._results.choices > 1:
            choices = (self._streams.draw(which) * self._results.choices).astype(np.int64)
            cells = cells + choices * self.search_space.count()
        rewards[which] = self._results.rewards.take(cells, axis=0)
        columns = {name: column.take(cells) for name, column in self._results.columns.items()}
        return self._scattered(which, columns)

    def _final_info(self, infos: Infos, ended: NDArray[np.bool_]) -> Infos:
        """The infos of ended episodes as those of environments that are reset at once."""
        observations = np.full(self.num_envs, None, dtype=object)
        for i in np.flatnonzero(ended):
            observations[i] = self._observer.of(int(self._states[i]), self._spent[i])
        return {
            "final_obs": observations,
            "_final_obs": ended.copy(),
            "final_info": self._completed(infos, ended),
            "_final_info": ended.copy(),
        }

    def _scattered(self, which: NDArray[np.int64], columns: dict[str, NDArray[Any]]) -> Infos:
        """Columns of the environments ``which`` as infos of all, each with its mask."""
        infos: Infos = {}
        for name, column in columns.items():
            fill = None if column.dtype == object else 0
            infos[name] = np.full(self.num_envs, fill, dtype=column.dtype)
            infos[name][which] = column
            infos[f"_{name}"] = np.zeros(self.num_envs, dtype=bool)
            infos[f"_{name}"][which] = True
        return infos

    def _observations(self) -> Observation:
        return self._observer.of_each(self._states, self._spent)

    def _completed(self, infos: Infos, which: NDArray[np.bool_]) -> Infos:
        """Adds what the infos of the environments ``which`` always say."""
        infos = dict(infos)
        for name, default in self._env.no_result.items():
            values = infos.get(name, np.zeros(self.num_envs, dtype=type(default)))
            known = infos.get(f"_{name}", np.zeros(self.num_envs, dtype=bool))
            infos[name] = np.where(which & ~known, np.array(default, values.dtype), values)
            infos[f"_{name}"] = which.copy()
        masks = self.action_masks().view(np.int8)
        masks[~which] = 0
        return {**infos, "action_mask": masks, "_action_mask": which.copy()}


def _reset_mask(options: dict[str, Any] | None, num_envs: int) -> NDArray[np.bool_]:
    """The environments to reset, (N,): those of ``reset_mask``, else all."""
    mask = (options or {}).get("reset_mask")
    if mask is None:
        return np.ones(num_envs, dtype=bool)
    if not (isinstance(mask, np.ndarray) and mask.dtype == bool and mask.shape == (num_envs,)):
        raise ValueError(f"reset_mask must be a bool array of shape ({num_envs},), not {mask!r}.")
    if not mask.any():
        raise ValueError("reset_mask must name at least one environment.")
    return mask

"""The Gymnasium environment: a thin shell around the compiled MDP and an evaluator."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, get_args

import gymnasium as gym
import numpy as np
from gymnasium.utils import EzPickle
from numpy.typing import NDArray

from gym_cnnarch import rendering
from gym_cnnarch.arguments import (
    check_choice,
    full_name,
    make_evaluator,
    make_search_space,
    restrict,
)
from gym_cnnarch.errors import InvalidInput
from gym_cnnarch.info import InfoKind, full_info, no_result, numeric_info
from gym_cnnarch.mdp import ObserveSize, Spent, compile_mdp
from gym_cnnarch.observation import Observation, ObservationKind, make_observer
from gym_cnnarch.rewards.evaluation import Evaluation, Evaluator, absolute_name
from gym_cnnarch.rewards.objectives import Objectives
from gym_cnnarch.rewards.reward import Reward, illegal_reward, is_vector, make_reward
from gym_cnnarch.space.architecture import Architecture, Layer

InvalidAction = Literal["terminate", "raise"]
StepReward = float | NDArray[np.float32]
_INTEGERS = (int, np.int64)


class CNNArchEnv(gym.Env[Observation, np.int64], EzPickle):
    """Designing a convolutional network, one layer per step.

    ## Description
    An episode starts with an empty network and adds one layer per step. The terminal action (GAP or
    SM) trains the network, and its validation accuracy is the reward. This is the Markov decision
    process of MetaQNN (Baker et al., ICLR 2017, section 4 and appendix B).

    ## Action Space
    `Discrete(A)`: the layers of the search space in the order of
    `env.unwrapped.search_space.actions`: convolutions by filters, then receptive field; pooling;
    fully connected; the terminators GAP and SM last. Which are legal now: `info["action_mask"]`
    (int8, for `action_space.sample(mask=...)`) and `env.unwrapped.action_masks()` (bool, for
    sb3-contrib). At least one action is always legal.

    ## Observation Space
    `MultiDiscrete` of 8 integers (int64), the paper's state tuple; 0 means not applicable:

    | field | values |
    |---|---|
    | layer type | 0 start, 1 convolution, 2 pooling, 3 FC, 4 GAP, 5 SM |
    | depth | number of layers so far, the terminator included |
    | filters, receptive field | of a convolution: 1 + position in the space's lists |
    | pool | of a pooling layer: 1 + position among the space's (receptive field, stride) pairs |
    | neurons | of an FC layer: 1 + position in the space's list |
    | size | 1, 2, 3 for a representation size n >= 8, 4..7, 1..3; with `observe_size="exact"`, n |
    | consecutive FC | number of FC layers in a row |

    With bins the transition of a pooling layer looks stochastic (the paper's appendix B); legality
    always follows the true n. An FC layer has no representation size: it carries the last bin
    (exact: 0).

    `observation="onehot"` gives the same fields one-hot after each other, a `Box` of 0 and 1
    (float32), as `FlattenObservation` and `DtypeObservation` would. `observation="dict"` gives a
    `Dict` of this as `"observation"` and of the mask as `"action_mask"` (`MultiBinary`, int8), for
    libraries that look for masks in observations.

    With `observe_budget=True` a field of 11 values follows for each of `max_parameters`,
    `max_macs` and `max_latency` that is set: 0 where nothing is spent, b from 1 to 10 where more
    than (b - 1) / 10 of the limit is spent and at most b / 10.

    ## Rewards
    0 until the terminal step, then the evaluation's reward: by default the best validation accuracy
    over the epochs, in [0, 1], and `failure_reward` for a network whose training failed.

    A list of objectives, such as `reward=["accuracy", "-parameters"]`, makes the reward a vector,
    (k,) float32, as in MO-Gymnasium; `env.unwrapped.reward_space` is its `Box`. Objectives are
    `accuracy`, `-parameters` and `-macs`. A cost is 0 for the cheapest network of the space and -1
    for the dearest (or the limit, where one is set), on a logarithmic scale. A failed training has
    `failure_reward` as its accuracy, and its costs; an illegal action gives accuracy 0
    and costs -1. So it is with their weighted sum, the reward `linear`. See
    docs/objectives.md.

    ## Starting State
    The empty network: all fields 0 but the size.

    ## Episode End
    Terminated by GAP, SM, or an illegal action (reward 0 where no costs count). Never truncated; a
    space of at most L layers ends an episode after at most L + 1 steps.

    ## Information
    `action_mask`, from reset and every step: (A,) int8. At the end of an episode: `architecture`
    (str), `parameters` (int), `macs` (int), and with an evaluator `accuracy` (float), `status`
    (str), `cached` (bool), `train_seconds` (float, where training was measured). After an illegal
    action instead `invalid_action` (True).

    `info="numeric"` is for libraries that stack infos or convert them to tensors (Tianshou, Minari,
    Gymnasium's `NumpyToTorch`): the same keys from reset on, all numbers. These are `action_mask`,
    `accuracy` (float), `status` (int, position in `gym_cnnarch.rewards.evaluation.STATUSES`, -1:
    none was evaluated), `parameters` and `macs` (int), `invalid_action` (bool), and `rank` (int,
    -1: none is finished), of which `env.unwrapped.search_space.of_any_cost.unrank` makes the
    network. Spaces of 2^63 networks or more, whatever they cost, have no `rank`.
    docs/other_tools.md says which library needs what.

    ## Arguments
    All are plain data, so that `env.spec.to_json()` works.

    - `search_space`: a preset (`"metaqnn"`, `"metaqnn-18"`, `"digits"`, `"small"`) or a dict of
      limits, with an optional `"preset"` to start from: see `SearchSpace`. None: the evaluator's
      own, where it has one (a table), else `"metaqnn"`. Of an evaluator's own space any part can be
      asked for, for example with fewer `max_layers`: a table's optimum and regret are then of that
      part. `max_parameters`, `max_macs`, and `max_latency` with `latencies` limit what a network
      costs: no layer is legal after which every network would be beyond them; see
      docs/limits.md.
    - `evaluator`: `"training"`, `"table"`, `"surrogate"`, or one's own: `"module:attribute"` or
      `"path/to/file.py:attribute"`. It is called with `dataset` and all further arguments, those
      that the id registers included (for training: `data_root`, `recipe`, `device`, `store`; for a
      table: `table`, `repeat`; for the surrogate: `curves`, `noise`). None only constructs, without
      data or training, reward 0; where no dataset says so, `search_space` must then give
      `input_shape` and `num_classes`. An object with the `Evaluator` protocol works too, whatever
      the id registers, but is not plain data.
    - `dataset`: what the evaluator reads: see the README.
    - `seed`: the seed of the evaluation (0), not of the environment. Where an evaluator has several
      results for a network (a table), the environment's generator chooses instead.
    - `reward`: `"accuracy"`, `"last_accuracy"`, or `"module:function"` (or
      `"path/to/file.py:function"`) from `Evaluation` to float; a scalarisation,
      `{"name": "linear", "weights": {"accuracy": 1, "-parameters": 0.1}}` or
      `{"name": "mnasnet", "target": 100000, "cost": "parameters", "exponent": -0.07}`; or a list of
      objectives for a vector.
    - `failure_reward`: the reward of a failed evaluation (0.0); its accuracy among objectives.
    - `invalid_action`: `"terminate"` or `"raise"`.
    - `observe_size`: `"bin"` or `"exact"`.
    - `observe_budget`: whether the share of each limit on the cost that is spent is observed
      (False).
    - `observation`: `"multidiscrete"`, `"onehot"` or `"dict"`.
    - `info`: `"full"` or `"numeric"`.

    ## References
    B. Baker, O. Gupta, N. Naik, R. Raskar: Designing Neural Network Architectures using
    Reinforcement Learning. ICLR 2017. https://arxiv.org/abs/1611.02167

    ## Version History
    - v0: initial version.
    """

    metadata = {"render_modes": ["ansi", "rgb_array"], "render_fps": 2}  # noqa: RUF012

    def __init__(
        self,
        search_space: Any = None,
        evaluator: str | Evaluator | None = None,
        dataset: str | None = None,
        seed: int = 0,
        reward: str | dict[str, Any] | Sequence[str] = "accuracy",
        failure_reward: float = 0.0,
        invalid_action: InvalidAction = "terminate",
        observe_size: ObserveSize = "bin",
        observe_budget: bool = False,
        observation: ObservationKind = "multidiscrete",
        info: InfoKind = "full",
        render_mode: str | None = None,
        **evaluator_settings: Any,
    ) -> None:
        evaluator_name = full_name(evaluator) if isinstance(evaluator, str) else None
        EzPickle.__init__(
            self,
            search_space=search_space,
            evaluator=evaluator_name or evaluator,
            dataset=dataset,
            seed=seed,
            reward=absolute_name(reward) if isinstance(reward, str) else reward,
            failure_reward=failure_reward,
            invalid_action=invalid_action,
            observe_size=observe_size,
            observe_budget=observe_budget,
            observation=observation,
            info=info,
            render_mode=render_mode,
            **evaluator_settings,
        )
        check_choice("invalid_action", invalid_action, get_args(InvalidAction))
        check_choice("observe_size", observe_size, get_args(ObserveSize))
        check_choice("observe_budget", observe_budget, (False, True))
        check_choice("observation", observation, get_args(ObservationKind))
        check_choice("info", info, get_args(InfoKind))
        check_choice("render_mode", render_mode, (None, *self.metadata["render_modes"]))
        if not isinstance(seed, int) or not -(2**63) <= seed < 2**63:
            raise InvalidInput(
                f"The seed of the evaluation must be a plain integer of 64 bits, not {seed!r}."
            )
        self.render_mode = render_mode
        self.evaluator_name = evaluator_name
        self.evaluator_settings = {"dataset": dataset, **evaluator_settings}
        self.evaluator = make_evaluator(self.evaluator_name or evaluator, self.evaluator_settings)
        self.search_space = make_search_space(
            search_space, self.evaluator, dataset, evaluator_settings.get("recipe")
        )
        self.evaluator = restrict(self.evaluator, self.search_space)
        self.reward_function = make_reward(reward, failure_reward, self.search_space)
        self.objectives: tuple[str, ...] = ()  # of a vector
        self.no_reward: Reward = 0.0
        self.worst_reward = illegal_reward(reward, self.search_space)
        if is_vector(reward):
            objectives = Objectives(tuple(reward), self.search_space)
            self.objectives = objectives.names
            self.no_reward = (0.0,) * len(objectives.names)
            low = objectives.worst(min(0.0, failure_reward))
            high = objectives.best(max(1.0, failure_reward))
            self.reward_space = gym.spaces.Box(
                np.array(low, np.float32), np.array(high, np.float32)
            )
            self.reward_dim = len(objectives.names)
        self.evaluation_seed = seed
        self.observe_size: ObserveSize = observe_size
        self.observe_budget = bool(observe_budget)
        self.observation: ObservationKind = observation
        self.invalid_action = invalid_action
        self._draw_seed = getattr(self.evaluator, "draw_seed", None)
        self._mdp = compile_mdp(self.search_space, observe_size)
        self.observer = make_observer(self._mdp, observation, observe_budget)
        self.result_info = full_info if info == "full" else numeric_info
        self.no_result = {} if info == "full" else no_result(self.search_space)
        self._state, self._spent, self._mask = self._mdp.begin()
        self._layers: list[Layer] = []
        self._ended = True  # until the first reset
        self.action_space = gym.spaces.Discrete(len(self.search_space.actions))
        self.observation_space = self.observer.space

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Starts with an empty network.

        The seed matters where the evaluator has several results for a network; options change
        nothing.
        """
        super().reset(seed=seed)
        self._state, self._spent, self._mask = self._mdp.begin()
        self._layers = []
        self._ended = False
        return self.observer.of(self._state, self._spent), self._info({})

    def step(
        self, action: np.int64 | int
    ) -> tuple[Observation, StepReward, bool, bool, dict[str, Any]]:
        """Adds a layer; a terminator evaluates the network.

        Raises:
            gymnasium.error.ResetNeeded: If the episode has ended.
            gymnasium.error.InvalidAction: If the action is outside the action space, or illegal
                with ``invalid_action="raise"``.
        """
        if not self._can_step(action):
            return self._end_illegally()
        action = int(action)
        self._state, self._spent, self._mask = self._mdp.after(self._state, self._spent, action)
        self._layers.append(self.search_space.actions[action])
        self._ended = bool(self._mdp.terminal[self._state])
        reward = self.no_reward
        result: dict[str, Any] = {}
        if self._ended:
            reward, result = self.judge(Architecture(tuple(self._layers)), self.np_random)
        observation = self.observer.of(self._state, self._spent)
        return observation, _as_given(reward), self._ended, False, self._info(result)

    def action_masks(self) -> NDArray[np.bool_]:
        """(A,) bool, the legal actions; the name is sb3-contrib's."""
        return np.array(self._mask)

    def render(self) -> str | NDArray[np.uint8] | None:
        """The network so far: text (``ansi``) or an (H, W, 3) uint8 drawing (``rgb_array``)."""
        if self.render_mode == "ansi":
            return rendering.ansi(self._layers, self.search_space.input_shape)
        if self.render_mode == "rgb_array":
            return rendering.rgb_array(self._layers, self.search_space)
        gym.logger.warn("render() needs gym.make(..., render_mode='ansi') or 'rgb_array'.")
        return None

    def illegal(self, state: int, spent: Spent, action: int) -> gym.error.InvalidAction:
        """The error that says why an action is illegal in a state of the compiled MDP."""
        layer = self.search_space.actions[action]
        reached = replace(self._mdp.states[state], spent=tuple(spent.tolist()))
        rule = self.search_space.broken_rule(reached, layer)
        return gym.error.InvalidAction(f"Action {action}, {layer}, is illegal: {rule}.")

    def close(self) -> None:
        """Closes an evaluator that the environment has made; one that was given may be shared."""
        close = getattr(self.evaluator, "close", None)
        if self.evaluator_name is not None and close is not None:
            close()

    def __getstate__(self) -> dict[str, Any]:
        """Arguments and state, so that a deep copy goes on in the middle of an episode.

        A copy makes its evaluator anew if that was given by name, and shares nothing with it.
        """
        names = (
            "_state", "_spent", "_mask", "_ended", "_np_random", "_np_random_seed", "spec",
            "action_space", "observation_space",
        )  # fmt: skip
        episode = {"_layers": list(self._layers), **{name: getattr(self, name) for name in names}}
        return {**EzPickle.__getstate__(self), "episode": episode}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Makes the environment anew and puts it into the copied state."""
        EzPickle.__setstate__(self, state)
        self.__dict__.update(state["episode"])

    def _can_step(self, action: np.int64 | int) -> bool:
        """Whether the action is legal; raises where it cannot be taken at all."""
        if self._ended:
            raise gym.error.ResetNeeded("The episode has ended or not begun: call reset() first.")
        count = len(self.search_space.actions)
        usual = type(action) in _INTEGERS and 0 <= action < count  # contains() costs half a step
        if not usual and not self.action_space.contains(action):
            raise gym.error.InvalidAction(
                f"Expected an action from 0 to {count - 1}, but came {action!r}."
            )
        action = int(action)
        legal = bool(self._mask[action])
        if not legal and self.invalid_action == "raise":
            raise self.illegal(self._state, self._spent, action)
        return legal

    def _end_illegally(self) -> tuple[Observation, StepReward, bool, bool, dict[str, Any]]:
        self._ended = True
        observation = self.observer.of(self._state, self._spent)
        info = self._info({"invalid_action": True})
        return observation, _as_given(self.worst_reward), True, False, info

    def _info(self, result: dict[str, Any]) -> dict[str, Any]:
        mask = np.array(self._mask, dtype=np.int8)
        return {**self.no_result, **result, "action_mask": mask}

    def judge(
        self, architecture: Architecture, rng: np.random.Generator
    ) -> tuple[Reward, dict[str, Any]]:
        """The reward and info of a finished network; the generator draws if there are several."""
        if self.evaluator is None:
            return self.no_reward, self.result_info(architecture, None, self.search_space)
        seed = self._draw_seed(rng) if self._draw_seed else self.evaluation_seed
        return self._judged(architecture, self.evaluator.evaluate(architecture, seed))

    def judge_many(
        self, architectures: Sequence[Architecture], rngs: Sequence[np.random.Generator]
    ) -> list[tuple[Reward, dict[str, Any]]]:
        """The same of several environments' networks, together where the evaluator can."""
        together = getattr(self.evaluator, "evaluate_many", None)
        if together is None or len(architectures) == 1:
            return [self.judge(*each) for each in zip(architectures, rngs, strict=True)]
        seeds = [self._draw_seed(r) if self._draw_seed else self.evaluation_seed for r in rngs]
        evaluations = list(together(architectures, seeds))
        if len(evaluations) != len(architectures):
            raise InvalidInput(
                f"{type(self.evaluator).__name__}.evaluate_many must return an Evaluation for each "
                f"of {len(architectures)} networks, but returned {len(evaluations)}."
            )
        return [self._judged(*each) for each in zip(architectures, evaluations, strict=True)]

    def _judged(
        self, architecture: Architecture, evaluation: Evaluation
    ) -> tuple[Reward, dict[str, Any]]:
        if not isinstance(evaluation, Evaluation):
            raise InvalidInput(
                f"{type(self.evaluator).__name__} must return an Evaluation of every network, but "
                f"returned {evaluation!r}."
            )
        info = self.result_info(architecture, evaluation, self.search_space)
        return self.reward_function(evaluation), info


def _as_given(reward: Reward) -> StepReward:
    """A vector as a new array, since wrappers write into it."""
    return np.array(reward, dtype=np.float32) if isinstance(reward, tuple) else reward

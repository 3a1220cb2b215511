"""The space of networks: its limits, its rules (the paper's Table 1), counting and sampling."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from gym_cnnarch.architecture import (
    Architecture,
    Conv,
    FullyConnected,
    GlobalAveragePool,
    Layer,
    Pool,
    Softmax,
    Terminator,
)
from gym_cnnarch.errors import InvalidInput
from gym_cnnarch.limits import PRESETS, as_tuple, is_limit
from gym_cnnarch.presets import read_spec
from gym_cnnarch.shapes import pooled_size


@dataclass(frozen=True)
class State:
    """All that the rules look at.

    Attributes:
        last: The last layer, None at the start.
        depth: Number of layers so far, the terminator included.
        size: Representation size n, the side of the square feature map; 0 after an FC layer or a
            terminator, which have none.
        consecutive_fc: Number of FC layers in a row that end the chain.
    """

    last: Layer | None
    depth: int
    size: int
    consecutive_fc: int


@dataclass(frozen=True)
class SearchSpace:
    """The limits of the space; the defaults are the paper's (section 4.1).

    Attributes:
        input_shape: (channels, height, width) of an image, height = width.
        num_classes: Number of classes, the outputs of a terminator.
        max_layers: Most layers before the terminator.
        conv_filters: Numbers of filters of a convolution.
        conv_receptive_fields: Receptive fields of a convolution.
        pools: (receptive field, stride) of the pooling layers.
        fc_neurons: Numbers of neurons of an FC layer.
        max_fc: Most FC layers in a row.
        fc_max_size: Largest representation size that an FC layer may follow.

    Raises:
        InvalidInput: If a limit is not positive, or the images are not square.
    """

    input_shape: tuple[int, int, int] = (3, 32, 32)
    num_classes: int = 10
    max_layers: int = 12
    conv_filters: tuple[int, ...] = (64, 128, 256, 512)
    conv_receptive_fields: tuple[int, ...] = (1, 3, 5)
    pools: tuple[tuple[int, int], ...] = ((5, 3), (3, 2), (2, 2))
    fc_neurons: tuple[int, ...] = (512, 256, 128)
    max_fc: int = 2
    fc_max_size: int = 7

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = as_tuple(getattr(self, field.name))
            object.__setattr__(self, field.name, value)
            if not is_limit(field.name, value):
                raise InvalidInput(
                    f"{field.name} must be made of positive integers, no choice twice, like the "
                    f"default {field.default}, but came as {value!r}."
                )
        if self.input_shape[1] != self.input_shape[2]:
            raise InvalidInput(
                f"The rules need square images, (channels, n, n), but input_shape is "
                f"{self.input_shape}: resize them, with image_size in the recipe."
            )
        if self.num_classes < 2:
            raise InvalidInput(
                f"Classifying needs num_classes of at least 2, but it is {self.num_classes}."
            )

    @classmethod
    def from_spec(
        cls, spec: "str | Mapping[str, Any] | SearchSpace", **known: Any
    ) -> "SearchSpace":
        """Makes a space from plain data, such as an environment's keyword argument.

        Args:
            spec: A preset's name, or a mapping of limits, which may name a ``preset`` to start
                from.
            known: What the data says (``input_shape``, ``num_classes``); None is not known.

        Raises:
            InvalidInput: If the preset or a limit is unknown, or a limit contradicts the data.
        """
        if isinstance(spec, SearchSpace):
            limits = {f.name: getattr(spec, f.name) for f in dataclasses.fields(spec)}
        else:
            names = [f.name for f in dataclasses.fields(cls)]
            preset, given = read_spec("search space", spec, PRESETS, "metaqnn", names, "limit")
            limits = preset | given
        for name, value in known.items():
            if value is not None and as_tuple(limits.setdefault(name, value)) != as_tuple(value):
                raise InvalidInput(
                    f"The search space says {name} = {limits[name]}, but the data's is {value}: "
                    f"leave {name} out of the search space."
                )
        for name in ("input_shape", "num_classes"):
            if name not in limits:
                raise InvalidInput(
                    f"The search space lacks {name}: name a dataset whose images are known, "
                    f"or give {name}."
                )
        return cls(**limits)

    @cached_property
    def actions(self) -> tuple[Layer, ...]:
        """The layers in action order.

        Convolutions by filters, then receptive field; pooling; FC; the terminators GAP and SM last;
        within each as the limits list them.
        """
        return (
            *(Conv(d, f) for d in self.conv_filters for f in self.conv_receptive_fields),
            *(Pool(f, s) for f, s in self.pools),
            *(FullyConnected(d) for d in self.fc_neurons),
            GlobalAveragePool(self.num_classes),
            Softmax(self.num_classes),
        )

    @property
    def start(self) -> State:
        """The state before the first layer."""
        return State(last=None, depth=0, size=self.input_shape[1], consecutive_fc=0)

    def successor(self, state: State, layer: Layer) -> State:
        """The state after adding a legal layer."""
        depth = state.depth + 1
        match layer:
            case Conv():
                return State(layer, depth, state.size, 0)
            case Pool():
                return State(layer, depth, pooled_size(state.size, layer), 0)
            case FullyConnected():
                return State(layer, depth, 0, state.consecutive_fc + 1)
        return State(layer, depth, 0, 0)

    def broken_rule(self, state: State, layer: Layer) -> str | None:
        """The rule of Table 1 that adding the layer would break, None if it is legal."""
        last, size = state.last, state.size
        if isinstance(last, Terminator):
            return f"nothing follows the terminator {last}"
        if isinstance(layer, Softmax):
            return None
        if isinstance(last, FullyConnected) and not isinstance(layer, FullyConnected):
            return f"only FC or SM may follow {last}"
        if isinstance(layer, GlobalAveragePool):
            return None
        if state.depth == self.max_layers:
            return f"at most {self.max_layers} layers may come before the terminator"
        if isinstance(layer, FullyConnected):
            if isinstance(last, FullyConnected):
                if state.consecutive_fc == self.max_fc:
                    return f"at most {self.max_fc} FC layers may follow each other"
                if layer.neurons > last.neurons:
                    return f"an FC layer may not have more neurons than the one before, {last}"
            elif size > self.fc_max_size:
                return (
                    f"an FC layer needs a representation size of at most {self.fc_max_size}, "
                    f"not {size}"
                )
            return None
        if isinstance(layer, Pool) and not isinstance(last, Conv):
            return "pooling may only follow a convolution"
        if layer.receptive_field > size:
            return (
                f"the receptive field {layer.receptive_field} exceeds the representation size "
                f"{size}"
            )
        return None

    def validate(self, architecture: Architecture) -> None:
        """Checks that the architecture is one of the space.

        Raises:
            InvalidInput: If it is not; the message names the layer, the rule and the sizes.
        """
        state = self.start
        for position, layer in enumerate(architecture.layers, start=1):
            if layer not in self.actions:
                raise InvalidInput(
                    f"Layer {position}, {layer}, is not in the search space, which has "
                    f"{', '.join(map(str, self.actions))}."
                )
            rule = self.broken_rule(state, layer)
            if rule is not None:
                raise InvalidInput(f"Layer {position}, {layer}, breaks a rule: {rule}.")
            state = self.successor(state, layer)

    def contains(self, other: "SearchSpace") -> bool:
        """Whether the other space is for the same images, and each of its limits within these.

        Then every architecture of the other is one of this space, since no rule forbids more where
        a limit is wider.
        """
        same = ("input_shape", "num_classes")
        choices = ("conv_filters", "conv_receptive_fields", "pools", "fc_neurons")
        most = ("max_layers", "max_fc", "fc_max_size")
        return (
            all(getattr(other, name) == getattr(self, name) for name in same)
            and all(set(getattr(other, name)) <= set(getattr(self, name)) for name in choices)
            and all(getattr(other, name) <= getattr(self, name) for name in most)
        )

    def count(self) -> int:
        """The exact number of architectures."""
        return self._completions[self.start]

    def counts_more_than(self, number: int) -> bool:
        """Whether ``count()`` is greater, without enumerating a space that is much larger.

        Each state before a terminator is the end of some chain, which SM makes an architecture: a
        space has no more such states than architectures.
        """
        layers = [layer for layer in self.actions if not isinstance(layer, Terminator)]
        known, states = {self.start}, [self.start]
        for state in states:  # grows while it is read
            legal = [layer for layer in layers if self.broken_rule(state, layer) is None]
            new = {self.successor(state, layer) for layer in legal} - known
            known |= new
            states += new
            if len(states) > number:
                return True
        return self.count() > number

    def sample(self, rng: np.random.Generator) -> Architecture:
        """An architecture drawn uniformly from all ``count()``."""
        return self.unrank(_random_below(rng, self.count()))

    def rank(self, architecture: Architecture) -> int:
        """The architecture's number, 0 to ``count()`` - 1, in the lexicographic order of actions.

        Raises:
            InvalidInput: If it is not one of the space.
        """
        rank = 0
        state = self.start
        for layer in architecture.layers:
            branch = self._branches[state].get(layer)
            if branch is None:
                self.validate(architecture)  # says what is wrong
                raise AssertionError("a layer without a branch breaks a rule")
            smaller, state = branch
            rank += smaller
        return rank

    def unrank(self, rank: int) -> Architecture:
        """The architecture of a number, the inverse of ``rank``."""
        if not 0 <= rank < self.count():
            raise IndexError(f"The space has architectures 0 to {self.count() - 1}, not {rank}.")
        state = self.start
        layers: list[Layer] = []
        while not isinstance(state.last, Terminator):
            layer, (smaller, state) = next(
                branch for branch in reversed(self._branches[state].items()) if branch[1][0] <= rank
            )
            rank -= smaller
            layers.append(layer)
        return Architecture(tuple(layers))

    def branches(self, state: State) -> Mapping[Layer, tuple[int, State]]:
        """Each legal layer after a state, with where it leads to.

        The number is how many ways to finish the network come before those with this layer: summed
        along an architecture, its ``rank``.
        """
        return self._branches[state]

    @cached_property
    def successors(self) -> Mapping[State, Mapping[Layer, State]]:
        """Each reachable state, by depth, with its legal layers in order and where they lead to."""
        successors: dict[State, dict[Layer, State]] = {self.start: {}}
        states = [self.start]
        for state in states:  # grows while it is read
            for layer in self.actions:
                if self.broken_rule(state, layer) is None:
                    after = successors[state][layer] = self.successor(state, layer)
                    if after not in successors:
                        successors[after] = {}
                        states.append(after)
        return successors

    @cached_property
    def _completions(self) -> dict[State, int]:
        """Number of ways to finish the network from each reachable state."""
        completions: dict[State, int] = {}
        for state in reversed(list(self.successors)):
            ended = isinstance(state.last, Terminator)
            after = self.successors[state].values()
            completions[state] = int(ended) + sum(completions[s] for s in after)
        return completions

    @cached_property
    def _branches(self) -> dict[State, dict[Layer, tuple[int, State]]]:
        """For each state and legal layer, how many ways to finish come before it, and where to."""
        branches: dict[State, dict[Layer, tuple[int, State]]] = {}
        for state, successors in self.successors.items():
            branches[state] = {}
            smaller = 0
            for layer, after in successors.items():
                branches[state][layer] = smaller, after
                smaller += self._completions[after]
        return branches


def _random_below(rng: np.random.Generator, bound: int) -> int:
    """A uniform integer in [0, bound), for bounds beyond 64 bits."""
    bits = bound.bit_length()
    while True:
        number = int.from_bytes(rng.bytes((bits + 7) // 8), "little") & ((1 << bits) - 1)
        if number < bound:
            return number

"""The space of networks: its limits, its rules, what is in it."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from gym_cnnarch.errors import InvalidInput
from gym_cnnarch.presets import read_spec
from gym_cnnarch.space.architecture import (
    Architecture,
    Conv,
    FullyConnected,
    GlobalAveragePool,
    Layer,
    Pool,
    Softmax,
    Terminator,
)
from gym_cnnarch.space.costs import COST_LIMITS, Budget
from gym_cnnarch.space.counting import Counting, CountingCosts, CountingStates
from gym_cnnarch.space.latencies import NANOSECONDS, LayerLatencies, key_of
from gym_cnnarch.space.limits import PRESETS, as_tuple, is_limit, kind_of_limit
from gym_cnnarch.space.rules import State, broken_rule_of_table_1
from gym_cnnarch.space.shapes import pooled_size

_GRAINS = {1: 32, 2: 3, 3: 1}
"""Number of limits on the cost -> parts of each, times the layers, in which sampling counts costs.

More would reject fewer of the drawn networks, and take longer to count."""


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
        max_parameters: Most trainable parameters of a network, biases and classifier included, as
            ``shapes.count_parameters`` counts them; None for any number.
        max_macs: Most multiply-accumulates of a forward pass of one image, as ``shapes.count_macs``
            counts them; None for any number.
        max_latency: Most milliseconds of a forward pass: of its layers' measured latencies
            together; None for any number.
        latencies: Those of all layers of the space: a file of ``cnnarch layers``, or its content;
            None without ``max_latency``.

    A layer is legal if it keeps the rules, and if some way to finish the network then stays within
    ``max_parameters``, ``max_macs`` and ``max_latency``: no choice of legal layers ends where
    nothing fits.

    Raises:
        InvalidInput: If a limit is not positive, the images are not square, or no network is within
            the limits.
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
    max_parameters: int | None = None
    max_macs: int | None = None
    max_latency: float | None = None
    latencies: LayerLatencies | None = None

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = as_tuple(getattr(self, field.name))
            if field.name == "latencies" and value is not None:
                value = LayerLatencies.from_spec(value)
            object.__setattr__(self, field.name, value)
            if not is_limit(field.name, value) and field.name == "max_latency":
                raise InvalidInput(
                    f"max_latency must be a number of milliseconds above 0, or None for no limit, "
                    f"but came as {value!r}."
                )
            if not is_limit(field.name, value) and field.name in COST_LIMITS:
                raise InvalidInput(
                    f"{field.name} must be an integer from 1 to 2^63 - 1, or None for no limit, "
                    f"but came as {value!r}."
                )
            if not is_limit(field.name, value):
                raise InvalidInput(
                    f"{field.name} must be {kind_of_limit(field.name)}, like the default "
                    f"{field.default}, but came as {value!r}."
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
        if self.max_latency is not None:
            object.__setattr__(self, "max_latency", float(self.max_latency))
        if (self.max_latency is None) != (self.latencies is None):
            raise InvalidInput(
                "max_latency and latencies go together: give both, a number of milliseconds and "
                "the file of cnnarch layers, or neither."
            )
        if self.latencies is not None and self.latencies.input_shape != self.input_shape:
            raise InvalidInput(
                f"The latencies are of layers for images of {key_of(self.latencies.input_shape)}, "
                f"but the space's are {key_of(self.input_shape)}: measure its layers with cnnarch "
                f"layers."
            )
        _ = self.budget  # refuses limits that no network keeps

    def __getstate__(self) -> dict[str, Any]:
        """The limits; a copy finds anew what follows from them."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

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
            limits = spec.as_spec()
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

    def as_spec(self) -> dict[str, Any]:
        """The limits as plain data, from which ``from_spec`` makes the space; without None."""
        limits = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        if self.latencies is not None:
            limits["latencies"] = self.latencies.as_json()
        return {name: limit for name, limit in limits.items() if limit is not None}

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
    def cost_limits(self) -> dict[str, int]:
        """Those of ``COST_LIMITS`` that are set; ``max_latency`` in nanoseconds."""
        limits = {name: getattr(self, name) for name in COST_LIMITS}
        if self.max_latency is not None:
            limits["max_latency"] = round(self.max_latency * NANOSECONDS)
        return {name: limit for name, limit in limits.items() if limit is not None}

    @cached_property
    def of_any_cost(self) -> "SearchSpace":
        """The space without limits on the cost."""
        if not self.cost_limits:
            return self
        return dataclasses.replace(
            self, max_parameters=None, max_macs=None, max_latency=None, latencies=None
        )

    @cached_property
    def budget(self) -> Budget | None:
        """The rule of the limits on the cost; None where there is none."""
        return Budget(self) if self.cost_limits else None

    @property
    def start(self) -> State:
        """The state before the first layer."""
        limits = self.cost_limits
        channels = self.input_shape[0] if limits else 0
        return State(None, 0, self.input_shape[1], 0, channels, (0,) * len(limits))

    def successor(self, state: State, layer: Layer) -> State:
        """The state after adding a legal layer."""
        depth = state.depth + 1
        spent = self.budget.spent_after(state, layer) if state.spent and self.budget else ()
        match layer:
            case Conv():
                channels = layer.filters if state.channels else 0
                return State(layer, depth, state.size, 0, channels, spent)
            case Pool():
                size = pooled_size(state.size, layer)
                return State(layer, depth, size, 0, state.channels, spent)
            case FullyConnected():
                return State(layer, depth, 0, state.consecutive_fc + 1, 0, spent)
        return State(layer, depth, 0, 0, 0, spent)

    def broken_rule(self, state: State, layer: Layer) -> str | None:
        """The rule that adding the layer would break, None if it is legal."""
        rule = broken_rule_of_table_1(self, state, layer)
        if rule is None and self.budget is not None:
            rule = self.budget.broken_rule(state, layer)
        return rule

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
        costs = self.cost_limits
        return (
            all(getattr(other, name) == getattr(self, name) for name in same)
            and all(set(getattr(other, name)) <= set(getattr(self, name)) for name in choices)
            and all(getattr(other, name) <= getattr(self, name) for name in most)
            and all(other.cost_limits.get(name, math.inf) <= costs[name] for name in costs)
            and self.latencies in (None, other.latencies)
        )

    def count(self) -> int:
        """The exact number of architectures.

        Raises:
            InvalidInput: If limits on the cost leave too many to be counted, see docs/limits.md.
        """
        return self._counting.count

    def counts_more_than(self, number: int) -> bool:
        """Whether ``count()`` is greater, without enumerating a space that is much larger.

        Each state which a terminator may follow is the end of some chain, which that makes an
        architecture: a space has no more such states than architectures.
        """
        layers = [layer for layer in self.actions if not isinstance(layer, Terminator)]
        terminators = [layer for layer in self.actions if isinstance(layer, Terminator)]
        known, states, ends = {self.start}, [self.start], 0
        for state in states:  # grows while it is read
            legal = [layer for layer in layers if self.broken_rule(state, layer) is None]
            new = {self.successor(state, layer) for layer in legal} - known
            known |= new
            states += new
            ends += any(self.broken_rule(state, layer) is None for layer in terminators)
            if ends > number:
                return True
        return self.count() > number

    def count_up_to(self, number: int) -> int:
        """``count()``, or the number if that is less."""
        return number if self.counts_more_than(number) else self.count()

    def sample(self, rng: np.random.Generator) -> Architecture:
        """An architecture drawn uniformly from all.

        Under limits on the cost it is drawn from those that keep them roughly, until it keeps them.
        """
        while True:
            architecture = self._sampling.sample(rng)
            if self.budget is None or self.budget.holds(self._end(architecture).spent):
                return architecture

    def rank(self, architecture: Architecture) -> int:
        """The architecture's number, 0 to ``count()`` - 1, in the lexicographic order of actions.

        Raises:
            InvalidInput: If it is not one of the space.
        """
        rank = self._counting.rank(architecture)
        if rank is None:
            self.validate(architecture)  # says what is wrong
            raise AssertionError("an architecture without a rank breaks a rule")
        return rank

    def unrank(self, rank: int) -> Architecture:
        """The architecture of a number, the inverse of ``rank``."""
        return self._counting.unrank(rank)

    def branches(self, state: State) -> Mapping[Layer, tuple[int, State]]:
        """Each layer after a state in a space of any cost, with where it leads to.

        The number is how many ways to finish the network come before those with this layer: summed
        along an architecture, its ``rank``.
        """
        return self._counting.branches(state)

    @cached_property
    def successors(self) -> Mapping[State, Mapping[Layer, State]]:
        """Each state that Table 1 reaches, by depth, with its layers in order and where they lead.

        What is spent is left out; a budget says which of the layers it allows.
        """
        start = dataclasses.replace(self.start, spent=())
        successors: dict[State, dict[Layer, State]] = {start: {}}
        states = [start]
        for state in states:  # grows while it is read
            for layer in self.actions:
                if broken_rule_of_table_1(self, state, layer) is None:
                    after = successors[state][layer] = self.successor(state, layer)
                    if after not in successors:
                        successors[after] = {}
                        states.append(after)
        return successors

    def _end(self, architecture: Architecture) -> State:
        """The state after the last layer."""
        state = self.start
        for layer in architecture.layers:
            state = self.successor(state, layer)
        return state

    @cached_property
    def _counting(self) -> Counting[Any]:
        if self.budget is None:
            return CountingStates(self)
        whole = (1,) * len(self.budget.limits)
        fits = self._sampling.count < 2**63
        return CountingCosts(self, self.budget, whole, np.int64 if fits else object)

    @cached_property
    def _sampling(self) -> Counting[Any]:
        """The counting from which networks are drawn: all that are within the limits, and some."""
        if self.budget is None:
            return self._counting
        parts = _GRAINS[len(self.budget.limits)] * self.max_layers
        grain = tuple(max(1, limit // parts) for limit in self.budget.limits)
        return CountingCosts(self, self.budget, grain, object)

"""What a network so far is to the rules, and the rules of the paper's Table 1."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gym_cnnarch.space.architecture import (
    Conv,
    FullyConnected,
    GlobalAveragePool,
    Layer,
    Pool,
    Softmax,
    Terminator,
)
from gym_cnnarch.space.shapes import Shape

if TYPE_CHECKING:
    from gym_cnnarch.space.search_space import SearchSpace

Cost = tuple[int, ...]
"""K integers, one for each limit on the cost that is set, in the order of ``COST_LIMITS``."""


@dataclass(frozen=True)
class State:
    """All that the rules look at.

    Attributes:
        last: The last layer, None at the start.
        depth: Number of layers so far, the terminator included.
        size: Representation size n, the side of the square feature map; 0 after an FC layer or a
            terminator, which have none.
        consecutive_fc: Number of FC layers in a row that end the chain.
        channels: Number of channels of the feature map where the space limits the cost; 0 where it
            does not, for then no rule looks at it, and where there is no feature map.
        spent: What the layers cost so far, for each limit on the cost; () where there is none, and
            in the states of Table 1 alone.
    """

    last: Layer | None
    depth: int
    size: int
    consecutive_fc: int
    channels: int = 0
    spent: Cost = ()

    @property
    def shape(self) -> Shape:
        """What the next layer reads, where the space limits the cost."""
        if isinstance(self.last, FullyConnected):
            return (self.last.neurons,)
        return (self.channels, self.size, self.size)


def broken_rule_of_table_1(space: "SearchSpace", state: State, layer: Layer) -> str | None:
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
    if state.depth == space.max_layers:
        return f"at most {space.max_layers} layers may come before the terminator"
    if isinstance(layer, FullyConnected):
        if isinstance(last, FullyConnected):
            if state.consecutive_fc == space.max_fc:
                return f"at most {space.max_fc} FC layers may follow each other"
            if layer.neurons > last.neurons:
                return f"an FC layer may not have more neurons than the one before, {last}"
        elif size > space.fc_max_size:
            return (
                f"an FC layer needs a representation size of at most {space.fc_max_size}, "
                f"not {size}"
            )
        return None
    if isinstance(layer, Pool) and not isinstance(last, Conv):
        return "pooling may only follow a convolution"
    if layer.receptive_field > size:
        return f"the receptive field {layer.receptive_field} exceeds the representation size {size}"
    return None

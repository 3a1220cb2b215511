"""Designs that people write, from which a search may begin."""

from gym_cnnarch import Architecture, InvalidInput, SearchSpace
from gym_cnnarch.space.architecture import Conv, Layer, Pool, Softmax
from gym_cnnarch.space.shapes import pooled_size

USUAL = "usual"
"""Stands for them among the networks that a search is given."""

_MOST = 4

_DESIGNS: tuple[tuple[tuple[int, bool], ...], ...] = (
    ((0, False), (1, True), (1, True), (2, True)),
    ((0, True), (1, True), (2, True)),
    ((1, True), (2, True), (2, True)),
    ((0, False), (0, True), (1, False), (1, True), (2, False), (2, True)),
    ((1, True), (2, True)),
    ((1, True), (2, False)),
    ((0, False), (1, False)),
    ((0, True), (0, True)),
    ((0, True),),
)
"""Of each convolution, which of the space's numbers of filters, and whether a pooling follows."""


def usual_networks(space: SearchSpace) -> list[Architecture]:
    """The first few usual designs that are within the limits of a space.

    Where few are, the same follow with fewer filters. There may be none.
    """
    legal: dict[Architecture, None] = {}
    if not (space.conv_filters and space.conv_receptive_fields):
        return []
    for narrower in range(len(space.conv_filters)):
        for design in _DESIGNS:
            network = _network(design, space, narrower)
            try:
                space.validate(network)
            except InvalidInput:
                continue
            legal[network] = None
    return list(legal)[:_MOST]


def _network(
    design: tuple[tuple[int, bool], ...], space: SearchSpace, narrower: int
) -> Architecture:
    filters = sorted(space.conv_filters)
    field = 3 if 3 in space.conv_receptive_fields else max(space.conv_receptive_fields)
    pools = [Pool(*pool) for pool in sorted(space.pools, key=lambda pool: (pool != (2, 2), pool))]
    size, layers = space.input_shape[1], list[Layer]()
    for number, (width, pooled) in enumerate(design, start=1):
        wide = min(width, len(filters) - 1)
        layers.append(Conv(filters[max(0, wide - narrower)], field))
        if pooled and pools and size >= pools[0].receptive_field:
            smaller = pooled_size(size, pools[0])
            if smaller >= field or number == len(design):  # the next convolution must still fit
                layers.append(pools[0])
                size = smaller
    return Architecture((*layers, Softmax(space.num_classes)))

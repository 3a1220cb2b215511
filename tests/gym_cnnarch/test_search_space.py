"""Counting, sampling and validation against an enumeration that knows nothing of states."""

from collections import Counter
from itertools import chain, pairwise, product

import numpy as np
import pytest
from scipy.stats import chisquare

from gym_cnnarch import Architecture, InvalidInput, SearchSpace

DIGITS = SearchSpace.from_spec("digits", input_shape=(1, 8, 8), num_classes=10)
SIXTEEN = SearchSpace(
    input_shape=(3, 16, 16),
    max_layers=4,
    conv_filters=(8, 16),
    conv_receptive_fields=(1, 3, 5),
    pools=((3, 2), (2, 2)),
    fc_neurons=(64,),
)


def limits(side, max_layers, filters, fields, pools, neurons, max_fc=2, fc_side=7):
    """The limits of a tiny space under the names that the functions below use."""
    return locals()


TINY = [
    limits(4, 3, filters=[8], fields=[1, 3], pools=[(2, 2)], neurons=[16, 8]),
    limits(9, 3, filters=[8, 4], fields=[5], pools=[(5, 3)], neurons=[16]),
    limits(8, 4, filters=[4], fields=[5], pools=[(3, 2), (2, 2)], neurons=[8]),
    limits(2, 4, filters=[4], fields=[1], pools=[(2, 2)], neurons=[4, 9], max_fc=3),
    limits(6, 3, filters=[4], fields=[3], pools=[(2, 1)], neurons=[4], fc_side=5),
    limits(3, 2, filters=[], fields=[1], pools=[(2, 2)], neurons=[5, 7], max_fc=1),
]
every_tiny_space = pytest.mark.parametrize("space", TINY)


def make(side, max_layers, filters, fields, pools, neurons, max_fc, fc_side) -> SearchSpace:
    return SearchSpace(
        (1, side, side), 10, max_layers, filters, fields, pools, neurons, max_fc, fc_side
    )


def fits(body, end, side, max_fc, fc_side, **_) -> bool:
    """Table 1 as conditions on a whole chain of tokens such as ("C", 64, 3)."""
    kinds = [token[0] for token in body]
    sizes = [side]  # before each layer
    for kind, *limits in body:
        last = sizes[-1]
        sizes.append((last - limits[0]) // limits[1] + 1 if kind == "P" else last)
    dense = [limits[0] for kind, *limits in body if kind == "FC"]
    convolutional = kinds[: len(kinds) - len(dense)]
    return (
        "FC" not in convolutional  # FC layers come last
        and not (dense and end == "GAP")
        and len(dense) <= max_fc
        and dense == sorted(dense, reverse=True)
        and (not dense or sizes[len(convolutional)] <= fc_side)
        and all(a == "C" for a, b in zip(["start", *kinds], kinds, strict=False) if b == "P")
        and all(n >= t[2] for n, t in zip(sizes, body, strict=False) if t[0] == "C")
        and all(n >= t[1] for n, t in zip(sizes, body, strict=False) if t[0] == "P")
    )


def chains(max_layers, filters, fields, pools, neurons, **_):
    """Every chain of at most max_layers layers and a terminator, legal or not."""
    layers = [
        *(("C", d, f) for d in filters for f in fields),
        *(("P", f, s) for f, s in pools),
        *(("FC", d) for d in neurons),
    ]
    bodies = chain.from_iterable(product(layers, repeat=n) for n in range(max_layers + 1))
    return product(bodies, ("GAP", "SM"))


def text(body, end) -> str:
    forms = {"C": "C({},{},1)", "P": "P({},{})", "FC": "FC({})"}
    layers = [forms[kind].format(*limits) for kind, *limits in body]
    return "[" + ", ".join([*layers, f"{end}(10)"]) + "]"


def legal_texts(space) -> list[str]:
    return [text(*candidate) for candidate in chains(**space) if fits(*candidate, **space)]


@pytest.mark.parametrize(
    ("space", "architectures"),
    [
        (SearchSpace(), 126_209_903_956_514),
        (SearchSpace(max_layers=18), 738_777_451_796_125_995_554),
        (DIGITS, 4_808),
        (SIXTEEN, 6_386),
    ],
    ids=["metaqnn", "metaqnn-18", "digits", "sixteen"],
)
def test_the_number_of_architectures_is_exact(space, architectures):
    assert space.count() == architectures


def test_channels_and_classes_do_not_change_the_number_of_architectures():
    assert SearchSpace((1, 32, 32), num_classes=100).count() == SearchSpace().count()


@every_tiny_space
def test_the_count_is_the_number_of_enumerated_architectures(space):
    assert make(**space).count() == len(legal_texts(space)) > 2


@every_tiny_space
def test_validation_accepts_exactly_the_enumerated_architectures(space):
    made = make(**space)
    for candidate in chains(**space):
        architecture = Architecture.parse(text(*candidate))
        if fits(*candidate, **space):
            made.validate(architecture)
        else:
            with pytest.raises(InvalidInput, match="breaks a rule"):
                made.validate(architecture)


@every_tiny_space
def test_sampling_is_uniform_over_every_enumerated_architecture(space):
    made, texts = make(**space), legal_texts(space)
    rng = np.random.default_rng(0)
    drawn = Counter(str(made.sample(rng)) for _ in range(60 * len(texts)))
    assert set(drawn) == set(texts)
    assert chisquare(list(drawn.values())).pvalue > 0.001


@pytest.mark.parametrize("space", [SearchSpace(), SearchSpace(max_layers=18), DIGITS, SIXTEEN])
def test_sampled_architectures_are_legal_and_repeat_with_the_seed(space):
    first, second = np.random.default_rng(1), np.random.default_rng(1)
    sampled = [space.sample(first) for _ in range(100)]
    for architecture in sampled:
        space.validate(architecture)
    assert sampled == [space.sample(second) for _ in range(100)]
    assert len(set(sampled)) > 90


def draw_from_the_largest(number) -> list[Architecture]:
    rng, space = np.random.default_rng(2), SearchSpace(max_layers=18)
    return [space.sample(rng) for _ in range(number)]


def test_all_first_convolutions_are_sampled_equally_often():
    """At 32x32 each of the 12 is legal, and nothing that follows asks which it was."""
    first = Counter(str(drawn.layers[0]) for drawn in draw_from_the_largest(2_000))
    assert len(first) == 12
    assert chisquare(list(first.values())).pvalue > 0.001


def test_depths_are_sampled_in_proportion_to_the_architectures_that_have_them():
    """Beyond 64 bits too; the networks of depth k are the count's growth from k - 1 to k layers."""
    counts = [SearchSpace(max_layers=k).count() for k in range(12, 19)]
    shares = [(b - a) / counts[-1] for a, b in pairwise([0, *counts])]
    depths = Counter(max(len(drawn.layers) - 1, 12) for drawn in draw_from_the_largest(2_000))
    observed = np.array([depths[k] for k in range(12, 19)])
    expected = 2_000 * np.array(shares)
    rare = expected < 5
    assert (
        chisquare(
            [observed[rare].sum(), *observed[~rare]], [expected[rare].sum(), *expected[~rare]]
        ).pvalue
        > 0.001
    )

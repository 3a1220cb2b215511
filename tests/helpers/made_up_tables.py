"""Tables of made-up results, complete or not."""

import numpy as np

from gym_cnnarch import SearchSpace
from gym_cnnarch.rewards.evaluation import STATUSES
from gym_cnnarch.rewards.table import MISSING, Table
from gym_cnnarch.space.latencies import LayerLatencies
from gym_cnnarch.space.shapes import count_macs, count_parameters
from train_eval.training.layers import layers_of

SPACE = SearchSpace.from_spec(
    {"preset": "digits", "max_layers": 2, "conv_filters": [4, 8]},
    input_shape=(1, 8, 8),
    num_classes=10,
)
IMAGES, TESTS, EPOCHS = 360, 400, 3


def make_table(space=SPACE, seeds=3, complete=True):
    """Random accuracies and seconds; a tenth of the trainings diverged in their first epoch."""
    rng = np.random.default_rng(0)
    networks = [space.unrank(rank) for rank in range(space.count())]
    shape = seeds, len(networks)
    status = np.zeros(shape, dtype=np.int8)
    status[rng.random(shape) < 0.1] = STATUSES.index("diverged")
    validation = rng.integers(IMAGES + 1, size=(*shape, EPOCHS)).astype(np.int32)
    validation[status > 0, 1:] = MISSING
    test = rng.integers(TESTS + 1, size=shape).astype(np.int32)
    test[status > 0] = MISSING
    if not complete:
        status[-1, 5] = MISSING
    metadata = {
        "search_space": space.as_spec(), "task": "made-up", "seeds": list(range(seeds)),
        "validation_images": IMAGES, "test_images": TESTS,
    }  # fmt: skip
    return Table(
        metadata, validation, test, status,
        rng.random(shape).astype(np.float32), np.full(shape, 0.003, dtype=np.float32),
        np.array([count_parameters(a, space.input_shape) for a in networks]),
        np.array([count_macs(a, space.input_shape) for a in networks]),
    )  # fmt: skip


def made_up_latencies(space, seed=0):
    """Random latencies of all layers of a space, of up to a tenth of a millisecond each."""
    rng = np.random.default_rng(seed)
    nanoseconds = {}
    for layer, shape in layers_of(space):
        taken = int(rng.integers(1, 100_000))
        nanoseconds.setdefault("x".join(map(str, shape)), {})[str(layer)] = taken
    return LayerLatencies.from_spec(
        {
            "input_shape": list(space.input_shape),
            "conditions": {"device": "cpu", "processor": "made up"},
            "check": {},
            "nanoseconds": nanoseconds,
        }
    )

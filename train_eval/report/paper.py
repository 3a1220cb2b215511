"""The paper's five best CIFAR-10 networks, to be compared with."""

from gym_cnnarch import Architecture, InvalidInput
from train_eval.records.run_settings import RunSettings

PAPER_NETWORKS = tuple(
    map(
        Architecture.parse,
        (
            "[C(512,5,1), C(256,3,1), C(256,5,1), C(256,3,1), P(5,3), C(512,3,1), C(512,5,1), "
            "P(2,2), SM(10)]",
            "[C(128,1,1), C(512,3,1), C(64,1,1), C(128,3,1), P(2,2), C(256,3,1), P(2,2), "
            "C(512,3,1), P(3,2), SM(10)]",
            "[C(128,3,1), C(128,1,1), C(512,5,1), P(2,2), C(128,3,1), P(2,2), C(64,3,1), "
            "C(64,5,1), SM(10)]",
            "[C(256,3,1), C(256,3,1), P(5,3), C(256,1,1), C(128,3,1), P(2,2), C(128,3,1), SM(10)]",
            "[C(128,5,1), C(512,3,1), P(2,2), C(128,1,1), C(128,5,1), P(3,2), C(512,3,1), SM(10)]",
        ),
    )
)
"""Table A1 of the paper. Validation accuracies of theirs are not published."""


def those_that_fit(settings: RunSettings) -> list[Architecture]:
    """The paper's networks that a run might have proposed: none where the images are others."""
    if "CIFAR10-" not in settings.env:
        return []
    return [network for network in PAPER_NETWORKS if _is_of(network, settings)]


def _is_of(network: Architecture, settings: RunSettings) -> bool:
    try:
        settings.space.validate(network)
    except InvalidInput:
        return False
    return True

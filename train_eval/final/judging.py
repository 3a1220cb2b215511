"""Which final networks can be recommended: those that did not fall behind what they had."""

import math

from train_eval.final.checkpoint import EpochResult

_ONE_IN_A_HUNDRED = 2.326  # standard deviations that a normal variable exceeds so often


def shortcoming(
    epoch: EpochResult, images: float, before: float | None, before_images: float
) -> tuple[str, str] | None:
    """Status and reason of a network that must not be recommended, None if nothing is wrong.

    ``collapsed``: it answers at most half of the classes that it was shown. ``worse``: its accuracy
    is below that in the search by more than chance explains: by a one-sided test of two shares at
    1 %.

    Args:
        epoch: The epoch that was kept.
        images: Number of images that its accuracy is worth, see ``worth``.
        before: Its validation accuracy in the search; None if that was on other data.
        before_images: Number of images that this is worth.
    """
    if epoch.accuracy is None or epoch.answered is None or epoch.shown is None:
        return None
    if epoch.shown > 1 and 2 * epoch.answered <= epoch.shown:
        return "collapsed", (
            f"it answers {epoch.answered} of {epoch.shown} classes, at a validation accuracy of "
            f"{epoch.accuracy:.2%}"
        )
    if before is None:
        return None
    both = (images * epoch.accuracy + before_images * before) / (images + before_images)
    deviation = math.sqrt(both * (1 - both) * (1 / images + 1 / before_images))
    if before - epoch.accuracy > _ONE_IN_A_HUNDRED * deviation:
        return "worse", (
            f"its validation accuracy is {epoch.accuracy:.2%} ({images:.0f} images), in the search "
            f"it was {before:.2%} ({before_images:.0f} images)"
        )
    return None

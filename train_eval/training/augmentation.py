"""Images changed at random, so that a network does not learn them by heart."""

import torch
from torch import Tensor, nn

_DIGITS = ("digits", "cluttered_digits", "mnist", "svhn")  # a mirrored digit is another, or none
_COLOURED = 3  # channels


def mirrors(asked: bool | None, dataset: str, channels: int) -> bool:
    """Whether images of a data set are mirrored.

    Args:
        asked: A recipe's setting; None: where the data set allows. Digits do not. Of one's own data
            only images with colours do: grey ones are often of signs and letters.
        dataset: Its name.
        channels: Of an image.
    """
    if asked is not None:
        return asked
    own = ":" in dataset
    return channels == _COLOURED if own else dataset not in _DIGITS


def translated(asked: int | None, side: int) -> int:
    """Most pixels by which an image is moved: a recipe's setting; None: an eighth of its side."""
    return side // 8 if asked is None else asked


def augment(images: Tensor, mirror: bool, translation: int, colour: float = 0.0) -> Tensor:
    """Mirrors, moves and recolours each image at random; what is switched off draws no numbers.

    Args:
        images: (B, channels, n, n) normalised.
        mirror: Whether an image is mirrored half of the time.
        translation: Most pixels by which an image is moved in either direction, zeros following.
        colour: Most by which each channel's scale differs from 1, and its mean from what it was, in
            standard deviations.
    """
    count, channels, size, _ = images.shape

    def drawn(numbers: Tensor) -> Tensor:  # without waiting for what CUDA still does
        return numbers.to(images.device, non_blocking=images.device.type == "cuda")

    if mirror:
        mirrored = drawn(torch.rand(count) < 0.5).view(-1, 1, 1, 1)
        images = torch.where(mirrored, images.flip(3), images)
    if translation:
        padded = nn.functional.pad(images, (translation,) * 4)
        offsets = drawn(torch.randint(0, 2 * translation + 1, (2, count, 1)))
        device = images.device
        rows, columns = offsets + torch.arange(size, device=device)
        image = torch.arange(count, device=device).view(-1, 1, 1, 1)
        channel = torch.arange(channels, device=device).view(1, -1, 1, 1)
        images = padded[image, channel, rows[:, None, :, None], columns[:, None, None, :]]
    if colour:
        scale, shift = colour * (2 * drawn(torch.rand(2, count, channels, 1, 1)) - 1)
        images = images * (1 + scale) + shift
    return images

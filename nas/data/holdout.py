"""Images of a training set that are kept out of training and search, to validate on."""

from nas.data.annotations import Annotations
from nas.data.split import unit_hash
from nas.errors import UserError

_SALT = "holdout "
"""The search split hashes ids as they are; what is held out must not be the same images."""


def holdout_ids(source: Annotations, share: float) -> frozenset[int]:
    """Which of a set's images with labelled people are held out, about that share of them, at least one.

    An image's hash of its id decides, so the choice is the same in every run and stays when images are added.

    Raises:
        UserError: there are fewer than three images with labelled people: for training, search, validation.
    """
    hashed = sorted(
        (unit_hash(source.images[image].id, salt=_SALT), source.images[image].id)
        for image in source.labelled_images
    )
    if len(hashed) < 3:
        raise UserError(
            f"{source.path}: {len(hashed)} images with labelled people cannot be split into training, search "
            "and validation (data.holdout)"
        )
    below = sum(value < share for value, _ in hashed)
    return frozenset(id_ for _, id_ in hashed[: min(max(below, 1), len(hashed) - 2)])

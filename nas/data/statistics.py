"""What the people of a data set look like."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nas.data.annotations import Annotations


@dataclass(frozen=True)
class PeopleStatistics:
    """Counts and sizes.

    Args:
        images: all images.
        people: everyone annotated but crowds.
        labelled: people of whom something is labelled.
        crowds: crowd regions.
        box_height: [5] the 5, 25, 50, 75 and 95 % quantiles of labelled people's box heights (px).
        people_per_image: mean number of labelled people in images that have any.
        labelled_share: [K] in what share of the labelled people each joint is labelled.
    """

    images: int
    people: int
    labelled: int
    crowds: int
    box_height: tuple[float, ...]
    people_per_image: float
    labelled_share: tuple[float, ...]


def people_statistics(sources: Sequence[Annotations]) -> PeopleStatistics:
    """Statistics over several sets of one skeleton."""
    labelled = [source.people.labelled for source in sources]
    heights = np.concatenate(
        [source.people.bbox[rows, 3] for source, rows in zip(sources, labelled, strict=True)]
    )
    count = len(heights)
    keypoints = np.concatenate(
        [source.people.keypoints[rows] for source, rows in zip(sources, labelled, strict=True)]
    )
    crowds = sum(int(source.people.crowd.sum()) for source in sources)
    return PeopleStatistics(
        images=sum(len(source.images) for source in sources),
        people=sum(len(source.people) for source in sources) - crowds,
        labelled=count,
        crowds=crowds,
        box_height=tuple(np.quantile(heights, [0.05, 0.25, 0.5, 0.75, 0.95]).tolist()),
        people_per_image=count / sum(len(source.labelled_images) for source in sources),
        labelled_share=tuple((keypoints[..., 2] > 0).mean(0).tolist()),
    )

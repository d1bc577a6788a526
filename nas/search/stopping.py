"""Early stopping: who will not be among the finalists is not looked at to the end."""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from scipy.special import stdtrit

from nas.search.evaluator import Enough, Part
from nas.search.pareto import whole, within
from nas.search.values import Cost, Evaluation, Scores, on_part
from nas.space import Arch

SHARES = (0.125, 0.25, 0.5)
"""Of the split's images, after which a network may be stopped."""
STARTUP = 10
"""So many networks are scored to the end before any is stopped."""
CONFIDENCE = 0.99
"""That who is stopped would not have got there."""


class StoppableEvaluator(Protocol):
    """Scores networks, and may be told that a part of the images is enough."""

    @property
    def key(self) -> str: ...

    def until(self, arch: Arch, enough: Enough) -> Scores: ...


class EarlyStopping:
    """Scores networks, and stops those that will not be among the finalists of any budget.

    The networks that were scored to the end say how far accuracy on a part of the images is from that on all,
    and how much that varies: an interval (Student's, of one more value) for the network at hand, which is
    compared on the same images. Where its upper end is below the accuracy of as many faster networks as
    become finalists, the network is stopped. Its accuracy is then the middle of that interval. All of it is a
    function of the history: a search that was killed decides alike.

    Args:
        evaluator: scores by the metric.
        metric: that is searched for.
        history: what is known by now.
        cost: predicted ms.
        finalists: of each budget.
        each_head: whether those of a head are finalists by themselves.
    """

    def __init__(
        self,
        evaluator: StoppableEvaluator,
        *,
        metric: str,
        history: Callable[[], Sequence[Evaluation]],
        cost: Cost,
        finalists: int,
        each_head: bool = False,
    ) -> None:
        self._evaluator = evaluator
        self._metric = metric
        self._history = history
        self._cost = cost
        self._finalists = finalists
        self._each_head = each_head

    @property
    def key(self) -> str:
        """What the scores depend on besides the architecture."""
        return self._evaluator.key

    def __call__(self, arch: Arch) -> Scores:
        """Scores of everybody, or an estimate of the metric and on how many people it was stopped."""
        known = whole(self._history())
        head = arch.head.type
        compared = [item for item in known if not self._each_head or item.arch.head.type == head]
        rivals = within(compared, self._cost(arch))
        if len(known) < STARTUP or len(rivals) < self._finalists:
            return self._evaluator.until(arch, lambda _: None)
        needed = rivals[self._finalists - 1].accuracy

        def enough(part: Part) -> float | None:
            return hopeless(part, known, needed=needed, metric=self._metric)

        return self._evaluator.until(arch, enough)


def hopeless(part: Part, known: Sequence[Evaluation], *, needed: float, metric: str) -> float | None:
    """The accuracy to expect of a network that will stay below `needed`; None where it may not.

    Args:
        part: what is known of the network.
        known: networks that were scored to the end.
        needed: accuracy.
        metric: of both.
    """
    name = on_part(metric, part.share)
    gains = np.array([item.accuracy - item.scores[name] for item in known if name in item.scores])
    if len(gains) < STARTUP:
        return None
    spread = gains.std(ddof=1) * np.sqrt(1 + 1 / len(gains))
    expected = part.accuracy + float(gains.mean())
    highest = expected + float(stdtrit(len(gains) - 1, CONFIDENCE) * spread)
    return max(0.0, expected) if highest < needed else None

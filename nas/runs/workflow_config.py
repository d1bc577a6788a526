"""What a recipe says of the whole way from data to finished networks, besides training."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from nas.data import SourceConfig
from nas.space.fields import AsTuple, Count, StrictModel


def _as_list(sources: Any) -> Any:
    return [sources] if isinstance(sources, dict) else sources


class WorkflowConfig(StrictModel):
    """How much `nas run` measures and searches; the single commands have options for it instead.

    Args:
        budgets_ms: of the search; none for two that lie between the cheapest and the most expensive network.
        timed: networks whose time is measured for the predictor.
        visits: to each of them.
        trials: networks that the search scores.
        train_finalists: images that the best networks of different heads are trained on for before one is
            chosen; 0 to choose by inherited scores.
        metric: the score that is searched for.
        people: expected per image; a head on person crops runs once for each.
        test: sets that finished networks are validated on, from `data.root`; none for those of `data.val`.
    """

    budgets_ms: Annotated[tuple[Annotated[float, Field(gt=0, allow_inf_nan=False)], ...], AsTuple] = ()
    timed: Count = 30
    visits: Count = 5
    trials: Count = 200
    train_finalists: Annotated[int, Field(ge=0)] = 0
    metric: str = "AP"
    people: Count = 1
    test: Annotated[tuple[SourceConfig, ...], AsTuple, BeforeValidator(_as_list)] = ()

"""What is compared: kinds of networks, at which budgets, with how many seeds, in the order of training."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """How the networks of a row come about.

    Args:
        title: for tables.
        pick: by what their architecture is picked, see `benchmarks.flagship.picks`.
        scratch: trained from random weights, not from inherited ones.
        share: for a budget's share of the supernet's images besides those of fine-tuning.
    """

    title: str
    pick: str
    scratch: bool = False
    share: bool = False


SEARCHED, SCALED, HAND_MADE = "searched", "scaled", "hand-made"

KINDS = {
    SEARCHED: Kind("searched", SEARCHED),
    SCALED: Kind("scaled: widths and input together", SCALED),
    "macs": Kind("evolution under a limit of MACs", "macs"),
    "random": Kind("best of random networks", "random"),
    "scratch": Kind("searched, from scratch", SEARCHED, scratch=True),
    "scratch-long": Kind("searched, from scratch, supernet's share more", SEARCHED, scratch=True, share=True),
    HAND_MADE: Kind("ShuffleNetV2 + SimCC, from scratch, supernet's share more", HAND_MADE, True, True),
}


@dataclass(frozen=True)
class Row:
    """One training.

    Args:
        kind: one of `KINDS`.
        budget_ms: of its architecture.
        seed: of the training.
    """

    kind: str
    budget_ms: float
    seed: int = 0

    @property
    def name(self) -> str:
        """Of its files."""
        return f"{self.kind}-{self.budget_ms:g}ms-seed{self.seed}"


@dataclass(frozen=True)
class Comparison:
    """Which budgets are compared, in ms, the more important first.

    Args:
        whole: every kind.
        pair: searched against scaled alone.
        earlier_images: that taught the weights which the supernet began with; they count as its own.
    """

    whole: tuple[float, ...] = (0.5, 0.25)
    pair: tuple[float, ...] = (0.8,)
    earlier_images: int = 0

    @property
    def budgets_ms(self) -> tuple[float, ...]:
        """All of them, rising."""
        return tuple(sorted({*self.whole, *self.pair}))

    @property
    def picks(self) -> tuple[tuple[str, float], ...]:
        """The architectures that the rows need, each with its budget."""
        needed = {(KINDS[row.kind].pick, row.budget_ms): None for row in self.rows}
        return tuple(needed)

    @property
    def rows(self) -> tuple[Row, ...]:
        """All trainings, those first that say most: what is there when time is up is a comparison."""
        main, pair = (SEARCHED, SCALED, "macs"), (SEARCHED, SCALED)
        parts = (
            (self.whole, main, 0),
            (self.pair, pair, 0),
            (self.whole, main, 1),
            (self.whole, ("scratch-long", "random", HAND_MADE, "scratch"), 0),
            (self.pair, pair, 1),
        )
        return tuple(
            Row(kind, budget, seed) for budgets, kinds, seed in parts for budget in budgets for kind in kinds
        )


def images_of(kind: str, *, finetuning: int, supernet: int, budgets: int) -> int:
    """How many images a training of this kind sees.

    Args:
        kind: one of `KINDS`.
        finetuning: images of the recipe's fine-tuning.
        supernet: images that the supernet saw.
        budgets: that share the supernet.
    """
    return finetuning + (round(supernet / budgets) if KINDS[kind].share else 0)

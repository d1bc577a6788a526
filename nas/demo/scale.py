"""How much of everything the demo does."""

from dataclasses import dataclass


@dataclass(frozen=True)
class DemoScale:
    """How much of everything.

    Args:
        train_images, val_images: generated pictures, of one or two people each.
        overrides: of the recipe `supernets/demo.yaml`.
        minutes: about how long it takes on two cores, for telling beforehand.
    """

    train_images: int = 2500
    val_images: int = 300
    overrides: tuple[str, ...] = ()
    minutes: int = 9

    @classmethod
    def quick(cls) -> "DemoScale":
        """Every stage for real, none long enough to learn much: shows that everything works together."""
        overrides = (
            "steps=30", "batch=16", "calibration.images=32", "checkpoint.every=20",
            "schedule.warmup=5", "distillation.ramp=20", "sampling.pool=200",
            "finetune.steps=20", "finetune.batch=16", "finetune.schedule.warmup=5",
            "workflow.timed=8", "workflow.visits=1", "workflow.trials=10",
        )  # fmt: skip
        return cls(train_images=120, val_images=20, overrides=overrides, minutes=2)

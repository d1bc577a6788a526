"""What the extras of the package install, and how to get them."""

from nas import __version__

EVALUATE_PACKAGES = frozenset(("faster_coco_eval",))
"""What the extra `evaluate` adds to the base install."""

TRAIN_PACKAGES = frozenset(
    (
        "jinja2", "lightning_fabric", "matplotlib", "onnx", "optuna", "pycocotools", "safetensors",
        "tensorboard", "torch",
    )
)  # fmt: skip
"""What the extra `train` adds to these."""


def how_to_install(package: str) -> str | None:
    """The commands that install a package (by the name that is imported); None for one that no extra has."""
    top = package.partition(".")[0]
    if top not in TRAIN_PACKAGES | EVALUATE_PACKAGES:
        return None
    extra = "evaluate" if top in EVALUATE_PACKAGES else "train"
    return (
        f'in a clone of the project, pip install ".[{extra}]"; with a wheel, '
        f'pip install "pose_nas-{__version__}-py3-none-any.whl[{extra}]"'
    )

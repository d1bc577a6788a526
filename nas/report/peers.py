"""Published networks, for orientation beside those of a run."""

from dataclasses import dataclass

MEASURED = "medians of one run on an AMD EPYC, one thread, onnxruntime 1.31, fp32, one image, network alone"
"""How the milliseconds were measured."""


@dataclass(frozen=True)
class PublishedNetwork:
    """One network.

    Args:
        name: as its authors call it; MACs and time of MoveNet are those of a network built like it.
        size: of its input, height x width.
        mmacs: multiply-accumulates, millions.
        ms: of the network alone, `MEASURED`.
        ap: on COCO's validation people, as its authors report.
        source: where they do.
        people: "one" for a network that sees one person's crop, else "all".
    """

    name: str
    size: str
    mmacs: int
    ms: float
    ap: float
    source: str
    people: str = "all"


PUBLISHED = (
    PublishedNetwork(
        "MoveNet Lightning (time of one like it)",
        "192x192",
        229,
        3.0,
        0.630,
        "its model card, crops of one person",
        "one",
    ),
    PublishedNetwork("RTMPose-t", "256x192", 355, 5.2, 0.685, "arXiv 2303.07399, mirrored too", "one"),
    PublishedNetwork("RTMPose-s", "256x192", 676, 8.0, 0.722, "arXiv 2303.07399, mirrored too", "one"),
    PublishedNetwork("RTMPose-m", "256x192", 1918, 21.1, 0.758, "arXiv 2303.07399, mirrored too", "one"),
    PublishedNetwork("Lite-HRNet-18", "256x192", 242, 9.2, 0.648, "arXiv 2104.06403", "one"),
    PublishedNetwork("SimpleBaseline R50", "256x192", 5426, 54, 0.704, "arXiv 1804.06208", "one"),
    PublishedNetwork("YOLO11n-pose", "640x640", 3733, 45.5, 0.500, "Ultralytics' documentation"),
    PublishedNetwork("YOLO26n-pose", "640x640", 3786, 44.0, 0.572, "Ultralytics' documentation"),
    PublishedNetwork("LitePose-Auto-XS", "256x256", 883, 12.7, 0.406, "arXiv 2205.01271"),
    PublishedNetwork("LitePose-Auto-S", "448x448", 3614, 54.5, 0.568, "arXiv 2205.01271"),
    PublishedNetwork("LitePose-Auto-M", "448x448", 5264, 75.6, 0.598, "arXiv 2205.01271"),
    PublishedNetwork("LitePose-Auto-L", "512x512", 9962, 138, 0.625, "arXiv 2205.01271"),
    PublishedNetwork("RTMO-t", "416x416", 3300, 34.7, 0.574, "arXiv 2312.07526"),
    PublishedNetwork("RTMO-s", "640x640", 11900, 115, 0.677, "arXiv 2312.07526"),
    PublishedNetwork("Lightweight OpenPose", "256x456", 7656, 66.5, 0.428, "arXiv 1811.12004"),
)

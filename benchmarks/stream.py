"""What a video costs beyond its networks, and what asking the detector in every k-th frame saves.

    python benchmarks/stream.py MODEL.onnx VIDEO --detector DETECTOR.onnx [--every 5] [--out FILE.json]

Frames are read before the clock starts. Streams that detect in every frame and in every k-th take turns on
the same frames. Printed are medians over rounds: what all but detector, network and decode adds to these
("overhead"), and a frame's time with detection in every k-th against what the networks allow: all of the
time with detection in every frame, less what the detector takes in the frames between.
"""

import argparse
import json
import time
from datetime import date
from itertools import islice
from pathlib import Path
from statistics import median

import onnxruntime

from nas.runtime import OnnxModel, PosePipeline, PoseStream, StageTimes, load_detector
from nas.runtime.video import VideoFrame, VideoReader, VideoSource
from nas.timing import describe_device

NETWORKS = ("detect", "network", "decode")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("video", type=Path)
    parser.add_argument("--detector", type=Path, required=True)
    parser.add_argument("--every", type=int, default=5)
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()

    with VideoReader.open(VideoSource(str(given.video), "file")) as reader:
        frames = list(islice(reader, given.frames))
    pipeline = PosePipeline(
        OnnxModel(given.model, threads=given.threads), load_detector(given.detector, threads=given.threads)
    )
    streams = {
        every: PoseStream(pipeline, every=every, track=True, smooth=True) for every in (1, given.every)
    }
    runs: dict[int, list[dict[str, float]]] = {every: [] for every in streams}
    for _ in range(given.rounds):
        for every, stream in streams.items():
            runs[every].append(measure(stream, frames))
    figures = {
        every: {name: median(run[name] for run in runs[every]) for name in runs[every][0]} for every in runs
    }
    always, seldom = figures[1], figures[given.every]
    allowed = always["ms"] - always["detect"] * (1 - 1 / given.every)
    result = {
        "machine": describe_device().cpu,
        "date": str(date.today()),
        "onnxruntime": onnxruntime.__version__,
        "frame": list(frames[0].pixels.shape),
        "people": always["people"],
        "overhead": {every: figures[every]["overhead"] for every in figures},
        "ms": {every: figures[every]["ms"] for every in figures},
        "detections": {every: figures[every]["detections"] for every in figures},
        "against_allowed": seldom["ms"] / allowed,
    }
    print(json.dumps(result, indent=2))
    if given.out is not None:
        given.out.write_text(json.dumps(result, indent=2) + "\n")


def measure(stream: PoseStream, frames: list[VideoFrame]) -> dict[str, float]:
    """One pass over the frames, by frame: milliseconds overall and of the detector, people, detections."""
    stream.reset()
    networks = detect = people = detections = 0.0
    start = time.perf_counter()
    for frame in frames:
        times = StageTimes()
        found = stream(frame.pixels, colour="bgr", seconds=frame.seconds, times=times)
        networks += sum(times.ms.get(stage, 0.0) for stage in NETWORKS)
        detect += times.ms.get("detect", 0.0)
        people += len(found)
        detections += found.detected
    total = (time.perf_counter() - start) * 1e3
    return {
        "ms": total / len(frames),
        "detect": detect / len(frames),
        "overhead": total / networks - 1,
        "people": people / len(frames),
        "detections": detections / len(frames),
    }


if __name__ == "__main__":
    main()

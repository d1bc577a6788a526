"""What a video costs beyond its networks, and what asking the detector in every k-th frame saves.

    python benchmarks/stream.py MODEL.onnx VIDEO [--detector DETECTOR.onnx] [--every 5] [--out FILE.json]

Without a detector MODEL finds people in whole images. Frames are read, and enlarged where that is asked for,
before the clock starts. Printed are medians over rounds: what all but detector, network and decode adds to
these ("overhead"); with a detector, streams that ask it in every frame and in every k-th take turns on the
same frames, and a frame's time with detection in every k-th is told against what the networks allow: all of
the time with detection in every frame, less what the detector takes in the frames between.
"""

import argparse
import json
import time
from dataclasses import replace
from datetime import date
from itertools import islice
from pathlib import Path
from statistics import median

import cv2
import numpy as np
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
    parser.add_argument("--detector", type=Path)
    parser.add_argument("--every", type=int, default=5)
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--enlarge", type=int, default=1, help="by how much frames are, on both sides")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()

    with VideoReader.open(VideoSource(str(given.video), "file")) as reader:
        frames = [larger(frame, given.enlarge) for frame in islice(reader, given.frames)]
    detector = load_detector(given.detector, threads=given.threads) if given.detector else None
    pipeline = PosePipeline(OnnxModel(given.model, threads=given.threads), detector)
    streams = {
        every: PoseStream(pipeline, every=every, track=True, smooth=True)
        for every in ((1, given.every) if detector else (1,))
    }
    runs: dict[int, list[dict[str, float]]] = {every: [] for every in streams}
    for _ in range(given.rounds):
        for every, stream in streams.items():
            runs[every].append(measure(stream, frames))
    figures = {
        every: {name: median(run[name] for run in runs[every]) for name in runs[every][0]} for every in runs
    }
    result = {
        "machine": describe_device().cpu,
        "date": str(date.today()),
        "onnxruntime": onnxruntime.__version__,
        "frame": list(frames[0].pixels.shape),
        "every": figures,
    }
    if detector:
        always, seldom = figures[1], figures[given.every]
        allowed = always["ms"] - always["detect"] * (1 - 1 / given.every)
        result["against_allowed"] = seldom["ms"] / allowed
    print(json.dumps(result, indent=2))
    if given.out is not None:
        given.out.write_text(json.dumps(result, indent=2) + "\n")


def larger(frame: VideoFrame, times: int) -> VideoFrame:
    """A frame whose sides are so many times as long."""
    size = (frame.pixels.shape[1] * times, frame.pixels.shape[0] * times)
    return replace(frame, pixels=np.asarray(cv2.resize(frame.pixels, size), np.uint8))


def measure(stream: PoseStream, frames: list[VideoFrame]) -> dict[str, float]:
    """One pass over the frames, by frame: milliseconds overall and of each stage, people, detections."""
    stream.reset()
    stages: dict[str, float] = {}
    people = detections = 0
    start = time.perf_counter()
    for frame in frames:
        times = StageTimes()
        found = stream(frame.pixels, colour="bgr", seconds=frame.seconds, times=times)
        for stage, ms in times.ms.items():
            stages[stage] = stages.get(stage, 0.0) + ms
        people += len(found)
        detections += found.detected
    total = (time.perf_counter() - start) * 1e3
    overhead = total / sum(stages.get(stage, 0.0) for stage in NETWORKS) - 1
    sums = {"ms": total, "detect": 0.0, **stages, "people": people, "detections": detections}
    return {"overhead": overhead, **{name: value / len(frames) for name, value in sums.items()}}


if __name__ == "__main__":
    main()

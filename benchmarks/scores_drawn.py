"""Of the people whose poses match the truth, how many does `nas predict` draw at its defaults?

    python benchmarks/scores_drawn.py MODEL.onnx ... --data ANNOTATIONS.json --images FOLDER

For networks on crops, in the true boxes. A pose matches at an OKS of 0.5; it is drawn where its score and at
least half of its keypoints' reach the defaults.
"""

import argparse
from pathlib import Path

from nas.data import load_annotations
from nas.evaluate import validate
from nas.runtime import OnnxModel
from nas.workflow.people import count_drawn


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--images", type=Path, required=True)
    given = parser.parse_args()
    for path in given.models:
        model = OnnxModel(path)
        annotations = load_annotations(given.data, given.images, model.skeleton)
        result = validate(model, annotations)
        drawn = count_drawn(result.detections, annotations)
        print(f"{path}: head {model.arch.head.type}, AP {result['AP']:.3f}, {drawn.drawn} of {drawn.matched}")


if __name__ == "__main__":
    main()

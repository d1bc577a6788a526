"""Generated people: articulated, clothed, occluded, and labelled exactly; the embedded default data.

Everything is drawn with numpy and OpenCV from a seed: a training set can be had anywhere, without a download.
"""

from nas.demo.people.generation import DEFAULT_SIZE, generate

__all__ = ["DEFAULT_SIZE", "generate"]

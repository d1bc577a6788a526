"""Labels: people's joints as a network sees them, alone or merged with given ones."""

from nas.labels.counts import LabelCounts, LabelReport
from nas.labels.images import LabelImage, LabelSet, label_set
from nas.labels.labeller import Labeller
from nas.labels.merge import MergedJoints, merge_joints
from nas.labels.run import label, require_new
from nas.labels.settings import LabelSettings, MergeSettings, Views
from nas.labels.views import join_views

__all__ = [
    "LabelCounts",
    "LabelImage",
    "LabelReport",
    "LabelSet",
    "LabelSettings",
    "Labeller",
    "MergeSettings",
    "MergedJoints",
    "Views",
    "join_views",
    "label",
    "label_set",
    "merge_joints",
    "require_new",
]

"""COCO files: the one reader of images, people and boxes, and of what their categories mean. No torch."""

from nas.coco.boxes import people_boxes
from nas.coco.categories import ALL, Category, choose_category, other_joints
from nas.coco.document import read_coco
from nas.coco.images import ImageRecord, read_images
from nas.coco.people import PeopleFile, people_of, read_people
from nas.coco.person import AREA_OF_BOX
from nas.coco.table import PersonTable

__all__ = [
    "ALL",
    "AREA_OF_BOX",
    "Category",
    "ImageRecord",
    "PeopleFile",
    "PersonTable",
    "choose_category",
    "other_joints",
    "people_boxes",
    "people_of",
    "read_coco",
    "read_images",
    "read_people",
]

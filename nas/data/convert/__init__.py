"""Convert: annotations of other formats as COCO keypoint files."""

from nas.data.convert.coco_file import Conversion, write_coco
from nas.data.convert.formats import FORMATS, convert

__all__ = ["FORMATS", "Conversion", "convert", "write_coco"]

"""Picture files: one way from a file to the pixels that training, validation, export and prediction see."""

from nas.pictures.header import Header
from nas.pictures.reader import (
    MOST_MEGAPIXELS,
    PICTURE_SUFFIXES,
    Orientation,
    PictureFile,
    UnreadablePictureError,
    decode_picture,
    picture_content,
    picture_header,
    read_picture,
)

__all__ = [
    "MOST_MEGAPIXELS",
    "PICTURE_SUFFIXES",
    "Header",
    "Orientation",
    "PictureFile",
    "UnreadablePictureError",
    "decode_picture",
    "picture_content",
    "picture_header",
    "read_picture",
]

import pytest

from nas.codecs.build import codec_of
from nas.codecs.simcc import SimCCCodec
from nas.errors import UserError
from nas.space.arch import Arch, Block, Head, Neck, Stage, Stem


def make_arch(*, head: Head, strides: tuple[int, ...], levels: int) -> Arch:
    stages = tuple(Stage("mbconv", "relu", stride, 8, (Block(3, 1),)) for stride in strides)
    return Arch((128, 96), Stem(8, "relu"), stages, Neck("fusion_deconv", "deconv4x4", (8,) * levels), head)


@pytest.mark.parametrize(
    ("strides", "levels", "expected"),
    [((2, 2, 2, 1), 3, 2), ((2, 2, 2, 1), 2, 4), ((2, 2, 2, 2), 3, 4), ((2, 2, 2, 1), 0, 16)],
)
def test_each_level_of_the_neck_halves_the_stride(strides, levels, expected):
    arch = make_arch(head=Head("heatmap"), strides=strides, levels=levels)
    assert arch.level_strides[-1] == expected


def test_codec_gets_resolution_options_and_stride(skeleton):
    head = Head("simcc", (("label", "onehot"), ("split", 3)))
    codec = codec_of(make_arch(head=head, strides=(2, 2, 2, 1), levels=2), skeleton)
    assert isinstance(codec, SimCCCodec)
    assert codec.bins == (384, 288)
    assert codec.stride == 4
    assert codec.task == "crop"


def test_unknown_head_is_a_users_error(skeleton):
    with pytest.raises(UserError, match="unknown head 'centaur'"):
        codec_of(make_arch(head=Head("centaur"), strides=(2, 2, 2, 1), levels=2), skeleton)

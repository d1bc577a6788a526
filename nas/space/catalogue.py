"""The parts that ship with the package, each described once; an outside package registers its own."""

from typing import Any

from nas.space.specs import (
    BlockSpec,
    HeadSpec,
    NeckSpec,
    PartSpec,
    Range,
    StemSpec,
    UpsamplerSpec,
    above_the_last_stage,
    last_stage,
    one_per_width,
)

_CSP_STAGE = "nas.models.blocks.csp:CSPStage"

STEMS = (
    StemSpec(name="separable", module="nas.models.stems:SeparableStem"),
    StemSpec(name="triple", module="nas.models.stems:TripleStem"),
    StemSpec(name="conv", module="nas.models.stems:ConvStem"),
)

BLOCKS = (
    BlockSpec(name="mbconv", module="nas.models.blocks.mbconv:MBConv"),
    BlockSpec(
        name="mbv3", module="nas.models.blocks.mbv3:MobileNetV3Block", options={"squeeze_excite": False}
    ),
    BlockSpec(name="fused_mbconv", module="nas.models.blocks.fused_mbconv:FusedMBConv"),
    BlockSpec(name="rep", module="nas.models.blocks.rep:RepBlock", fixed={"kernel": 3, "expansion": 1}),
    BlockSpec(name="shuffle", module="nas.models.blocks.shuffle:ShuffleUnit", fixed={"expansion": 1}),
    BlockSpec(
        name="cspnext",
        module="nas.models.blocks.csp:CSPNeXtBlock",
        stage=_CSP_STAGE,
        options={"attention": False, "residual": False, "spp": False},
    ),
    BlockSpec(
        name="cspdark",
        module="nas.models.blocks.csp:DarknetBlock",
        stage=_CSP_STAGE,
        options={"residual": False, "spp": False},
        fixed={"kernel": 3},
    ),
)

UPSAMPLERS = (
    UpsamplerSpec(name="nearest", module="nas.models.upsamplers:Nearest"),
    UpsamplerSpec(name="nearest_dw", module="nas.models.upsamplers:NearestDepthwise"),
    UpsamplerSpec(name="bilinear", module="nas.models.upsamplers:Bilinear"),
    UpsamplerSpec(name="deconv2x2", module="nas.models.upsamplers:Deconv2x2"),
    UpsamplerSpec(name="deconv4x4", module="nas.models.upsamplers:Deconv4x4"),
)

_PYRAMID: Any = {
    "strides": one_per_width,
    "fields": {"upsampler": "nearest", "convolution": "separable"},
    "pyramid": True,
}

NECKS = (
    NeckSpec(name="none", module="nas.models.necks.none:NoNeck", strides=last_stage, takes_widths=False),
    NeckSpec(
        name="fusion_deconv",
        module="nas.models.necks.fusion_deconv:FusionDeconv",
        strides=above_the_last_stage,
        fields={"upsampler": None},
    ),
    NeckSpec(name="fpn", module="nas.models.necks.fpn:FPN", **_PYRAMID),
    NeckSpec(name="pan", module="nas.models.necks.pan:PAN", **_PYRAMID),
)

_KERNELS, _RADII = ("gaussian", "exponential"), ("fixed", "person")
_BRANCHES = ("bce", "quality_focal")
_COUNT = Range(least=1)
_WEIGHT = Range(least=0)
_LOCALISATION = {"beta": Range(above=0), "deconvolutions": Range(least=0, most=2), "width": _COUNT}

HEADS = (
    HeadSpec(
        name="associative_embedding",
        task="image",
        module="nas.heads.associative_embedding:AssociativeEmbeddingHead",
        codec="nas.codecs.associative_embedding:AssociativeEmbeddingCodec",
        necks=("fusion_deconv",),
        options={"kernel": "gaussian", "radius": "fixed", "foreground": 0.0},
        ranges={"kernel": _KERNELS, "radius": _RADII, "foreground": _WEIGHT},
        later=("kernel", "radius", "foreground"),
        strides=(4, 2),
    ),
    HeadSpec(
        name="center",
        task="image",
        module="nas.heads.center:CenterHead",
        codec="nas.codecs.center:CenterCodec",
        necks=("fusion_deconv", "fpn"),
        options={"people": 30, "activation": "sigmoid"},
        ranges={"people": Range(least=1, most=30), "activation": ("sigmoid", "softsign")},
        strides=(4,),
    ),
    HeadSpec(
        name="dense",
        task="image",
        module="nas.heads.dense:DenseHead",
        codec="nas.codecs.dense:DenseCodec",
        necks=("fpn", "pan", "fusion_deconv"),
        options={"decode": "nms", "people": 30},
        ranges={"decode": ("nms", "one_to_one"), "people": Range(least=1, most=100)},
        strides=(8,),
    ),
    HeadSpec(
        name="dsnt",
        task="crop",
        module="nas.heads.dsnt:DSNTHead",
        codec="nas.codecs.dsnt:DSNTCodec",
        necks=("fusion_deconv", "none", "fpn", "pan"),
        options={"beta": 1.0, "deconvolutions": 0, "width": 32},
        ranges=_LOCALISATION,
    ),
    HeadSpec(
        name="heatmap",
        task="crop",
        module="nas.heads.heatmap:HeatmapHead",
        codec="nas.codecs.heatmap:HeatmapCodec",
        necks=("fusion_deconv", "fpn", "pan"),
        options={"kernel": "gaussian", "radius": "fixed", "refine": "quarter", "foreground": 0.0},
        ranges={"kernel": _KERNELS, "radius": _RADII, "refine": ("quarter", "dark"), "foreground": _WEIGHT},
        later=("kernel", "radius", "refine", "foreground"),
    ),
    HeadSpec(
        name="integral",
        task="crop",
        module="nas.heads.integral:IntegralHead",
        codec="nas.codecs.integral:IntegralCodec",
        necks=("fusion_deconv", "none", "fpn", "pan"),
        options={"beta": 1.0, "debias": False, "deconvolutions": 0, "width": 32},
        ranges=_LOCALISATION,
    ),
    HeadSpec(
        name="part_affinity",
        task="image",
        module="nas.heads.part_affinity:PartAffinityHead",
        codec="nas.codecs.part_affinity:PartAffinityCodec",
        necks=("none", "fusion_deconv", "fpn", "pan"),
        options={"width": 64, "refinement": 1, "limbs": "skeleton", "fewest": 3},
        ranges={
            "width": Range(least=8, multiple_of=8),
            "refinement": Range(least=0, most=2),
            "limbs": ("skeleton", "mirrored", "bridged"),
            "fewest": _COUNT,
        },
        later=("limbs", "fewest"),
        strides=(8,),
    ),
    HeadSpec(
        name="regression",
        task="crop",
        module="nas.heads.regression:RegressionHead",
        codec="nas.codecs.regression:RegressionCodec",
        necks=("fusion_deconv", "none", "fpn", "pan"),
        options={"dropout": 0.0, "bone": 0.0, "score": "none"},
        ranges={"dropout": Range(least=0, below=1), "bone": _WEIGHT, "score": ("none", *_BRANCHES)},
    ),
    HeadSpec(
        name="rle",
        task="crop",
        module="nas.heads.rle:RLEHead",
        codec="nas.codecs.rle:RLECodec",
        necks=("fusion_deconv", "none", "fpn", "pan"),
        options={"dropout": 0.0, "bone": 0.0, "gamma": 1.0, "maps": "shared", "score": "sigma"},
        ranges={
            "dropout": Range(least=0, below=1),
            "bone": _WEIGHT,
            "gamma": _WEIGHT,
            "maps": ("shared", "separate"),
            "score": ("sigma", *_BRANCHES),
        },
    ),
    HeadSpec(
        name="rtmcc",
        task="crop",
        module="nas.heads.rtmcc:RTMCCHead",
        codec="nas.codecs.rtmcc:RTMCCCodec",
        necks=("none", "fusion_deconv"),
        options={"split": 2, "hidden": 256},
        ranges={"split": _COUNT, "hidden": _COUNT},
    ),
    HeadSpec(
        name="simcc",
        task="crop",
        module="nas.heads.simcc:SimCCHead",
        codec="nas.codecs.simcc:SimCCCodec",
        necks=("fusion_deconv", "none", "fpn", "pan"),
        options={"split": 2, "label": "gaussian"},
        ranges={"split": _COUNT, "label": ("gaussian", "onehot")},
    ),
)

SHIPPED: tuple[PartSpec, ...] = (*STEMS, *BLOCKS, *UPSAMPLERS, *NECKS, *HEADS)

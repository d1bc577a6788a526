"""Train: supernets, fine-tuning, and the one loop that they share."""

from nas.train.backbone import initialise_backbone
from nas.train.finetune import finetune_subnet, transfer_subnet
from nas.train.initialise import initialise
from nas.train.side_by_side import finetune_subnets
from nas.train.supernet import train_supernet

__all__ = [
    "finetune_subnet",
    "finetune_subnets",
    "initialise",
    "initialise_backbone",
    "train_supernet",
    "transfer_subnet",
]

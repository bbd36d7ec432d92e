"""The data sets that `spikecli data` knows: their facts, each once."""

from __future__ import annotations

CATALOG = {  # every data set of `spikecli data`, and what it holds
    "shapes": "points",
    "modelnet10": "points",
    "modelnet40": "points",
    "digits": "events",
    "nmnist": "events",
    "ncaltech101": "events",
    "cifar10dvs": "events",
    "dvsgesture": "events",
    "cifar10": "images",
    "cifar100": "images",
}

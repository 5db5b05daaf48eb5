"""The recipes: tables of values that a run starts from, and what of them is overridden."""

from __future__ import annotations

from typing import Any

from wsol.config.base import RESOLVED, Recipe
from wsol.config.methods import METHODS
from wsol.config.options import RunConfig

# Wei et al. 2021 and their published code disagree; each column is a recipe of its own. Values that both share, or
# that neither states, are the defaults above.
_PAPER_MASKS = {
    "masks": "thresholds",
    "gaussian": "entire",
    "gaussian_divisor": 1,
    "gaussian_foreground": 0.7,
    "foreground": 0.5,
    "background": 0.004,
}


_RELEASED_MASKS = {
    "masks": "thresholds",
    "gaussian": "contours",
    "gaussian_divisor": 10,
    "gaussian_foreground": 0.25,
    "foreground": 0.25,
    "background": 0.01,
}


_SPOL_SEG = {"freeze": 0, "fusion": "multiply", "scale": 1}


RECIPES: dict[Recipe, dict[str, Any]] = {
    "wsol": {},
    "paper": {
        "cam": {"freeze": 0, "epochs": 32, "batch_size": 64, "auxiliary": "joint"},
        "pseudo": _PAPER_MASKS,
        "seg": {**_SPOL_SEG, "epochs": 32, "batch_size": 128, "lr_backbone": 0.002},
        "classify": {"freeze": 0, "epochs": 32, "batch_size": 64},
        "box": {"threshold": 0.5},  # the paper states none; the sigmoid's own middle
    },
    "paper-imagenet": {
        "cam": {"freeze": 0, "epochs": 6, "batch_size": 128, "auxiliary": "joint"},
        "pseudo": _PAPER_MASKS,
        "seg": {**_SPOL_SEG, "epochs": 6, "batch_size": 128, "lr_backbone": 0.002},
        "classify": {"freeze": 0, "epochs": 6, "batch_size": 128},
        "box": {"threshold": 0.5},
    },
    "released": {
        "cam": {"freeze": 0, "epochs": 32, "batch_size": 64, "auxiliary": "distil"},
        "pseudo": _RELEASED_MASKS,
        "seg": {**_SPOL_SEG, "epochs": 8, "batch_size": 128, "lr_backbone": 0.02},
        # The published code trains it apart: 20 epochs of 16 images, ten times the rate for the head, both falling.
        "classify": {
            "freeze": 0,
            "epochs": 20,
            "batch_size": 16,
            "lr_backbone": 0.005,
            "lr_new": 0.05,
            "rates": "linear",
        },
        "box": {"threshold": 0.2},
    },
    "released-imagenet": {
        "cam": {"freeze": 0, "steps": 6000, "batch_size": 128, "auxiliary": "none"},
        "pseudo": _RELEASED_MASKS,
        "seg": {**_SPOL_SEG, "steps": 6000, "batch_size": 128, "lr_backbone": 0.02},
        # The published code takes an ImageNet classifier as it is.
        "classify": {"freeze": 0, "epochs": 0, "batch_size": 128},
        "box": {"threshold": 0.8},
    },
}


# A recipe's networks go together: whoever names another backbone (a laptop, an offline machine) is not sent to
# fetch a classifier of 66 million weights that eats 600-pixel images.
# Weights by their tags, since timm's defaults move: SPOL used torchvision's first ones, and an EfficientNet-B7 that saw
# ImageNet alone, as the package it took it from has it (AutoAugment; timm's default there saw other images too).
_B7 = {"classifier": "tf_efficientnet_b7.aa_in1k", "classify": {"resize_px": 685, "crop_px": 600}}


NETWORKS: dict[Recipe, dict[str, Any]] = {
    "wsol": {},
    "paper": {"backbone": "resnet50.tv_in1k", "classifier": "densenet161.tv_in1k"},
    "paper-imagenet": {"backbone": "resnet50.tv_in1k", "classifier": "densenet161.tv_in1k"},
    "released": {"backbone": "resnet50.tv_in1k", **_B7},
    "released-imagenet": {"backbone": "resnet50.tv_in1k", **_B7},
}


def merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`base` with the values of `over`, group by group."""
    both = dict(base)
    for name, value in over.items():
        both[name] = (
            merged(both[name], value) if isinstance(value, dict) and isinstance(both.get(name), dict) else value
        )
    return both


def exactly(values: dict[str, Any]) -> dict[str, Any]:
    """Who names a stage's epochs or steps gets those: no least number of steps, unless that is named too."""
    return {
        name: {"least_steps": 0} | value if isinstance(value, dict) and value.keys() & {"epochs", "steps"} else value
        for name, value in values.items()
    }


def resolve(given: RunConfig) -> RunConfig:
    """The recipe's values, overridden by exactly those that were set on `given`.

    Raises:
        pydantic.ValidationError: an override does not fit the recipe's other values.
    """
    asked = exactly(given.model_dump(exclude_unset=True))
    values = merged(exactly(RECIPES[given.recipe]), dict(METHODS[given.method].defaults))
    if "backbone" not in asked:
        values = merged(values, NETWORKS[given.recipe])
    return RunConfig.model_validate(merged(values, asked), context=RESOLVED)

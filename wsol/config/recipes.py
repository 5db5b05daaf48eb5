"""Recipes: sets of default values, and how options override them."""

from __future__ import annotations

from typing import Any

from wsol.config.base import RESOLVED, Recipe
from wsol.config.methods import METHODS
from wsol.config.options import RunConfig

# Wei et al. 2021 and their published code differ, so each has its own recipes. Values that both share, or that neither
# states, are the defaults in `wsol.config.options`.
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
        "box": {"threshold": 0.5},  # not stated in the paper; the middle of the sigmoid
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
        # As in the published code: batches of 16 images, ten times the learning rate for the head, linear decay.
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
        # The published code uses an ImageNet classifier without training.
        "classify": {"freeze": 0, "epochs": 0, "batch_size": 128},
        "box": {"threshold": 0.8},
    },
}


# The networks of a recipe are used together: with another backbone (for a laptop, or offline), the recipe's large
# classifier (66 million weights, 600-pixel images) is not used either.
# Weights have explicit tags because timm's defaults change. SPOL used torchvision's first ResNet weights, and an
# EfficientNet-B7 trained on ImageNet alone with AutoAugment (timm's default B7 weights use more images).
_B7 = {"classifier": "tf_efficientnet_b7.aa_in1k", "classify": {"resize_px": 685, "crop_px": 600}}


NETWORKS: dict[Recipe, dict[str, Any]] = {
    "wsol": {},
    "paper": {"backbone": "resnet50.tv_in1k", "classifier": "densenet161.tv_in1k"},
    "paper-imagenet": {"backbone": "resnet50.tv_in1k", "classifier": "densenet161.tv_in1k"},
    "released": {"backbone": "resnet50.tv_in1k", **_B7},
    "released-imagenet": {"backbone": "resnet50.tv_in1k", **_B7},
}


def merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Return `base` with the values of `over`, merged group by group."""
    both = dict(base)
    for name, value in over.items():
        both[name] = (
            merged(both[name], value) if isinstance(value, dict) and isinstance(both.get(name), dict) else value
        )
    return both


def exactly(values: dict[str, Any]) -> dict[str, Any]:
    """Set `least_steps` to 0 in groups that give `epochs` or `steps` without it, so that these are used exactly."""
    return {
        name: {"least_steps": 0} | value if isinstance(value, dict) and value.keys() & {"epochs", "steps"} else value
        for name, value in values.items()
    }


def resolve(given: RunConfig) -> RunConfig:
    """Return the values of a recipe, overridden by the options that are set on `given`.

    Args:
        given: a configuration; only options that were set explicitly override the recipe.

    Returns:
        The complete configuration.

    Raises:
        pydantic.ValidationError: an override contradicts another value of the recipe.
    """
    overrides = exactly(given.model_dump(exclude_unset=True))
    values = merged(exactly(RECIPES[given.recipe]), dict(METHODS[given.method].defaults))
    if "backbone" not in overrides:
        values = merged(values, NETWORKS[given.recipe])
    return RunConfig.model_validate(merged(values, overrides), context=RESOLVED)

"""The methods by their `--method` name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from wsol.config.base import Method as MethodName
from wsol.config.options import RunConfig
from wsol.data.samples import DataSet
from wsol.methods import acol, adl, cam, cutmix, ddt, gcnet, gradcam, has, i2c, instant, psol, spg, tap
from wsol.methods.spol import fit as spol
from wsol.models.outputs import LocalizationModel
from wsol.runs.run import Run
from wsol.runtime.progress import Progress


class Method(NamedTuple):
    """The functions of a method."""

    fit: Callable[[DataSet, Path, RunConfig, Progress], None]
    """Trains on the images and labels alone, and writes the network to the last of the method's folders. After a kill,
    the same call continues."""
    load: Callable[[Run], LocalizationModel]
    """Loads the network of a finished run."""


METHODS: dict[MethodName, Method] = {
    "spol": Method(spol.fit, spol.load),
    "instant": Method(instant.fit, instant.load),
    "cam": Method(cam.fit, cam.load),
    "has": Method(has.fit, has.load),
    "cutmix": Method(cutmix.fit, cutmix.load),
    "acol": Method(acol.fit, acol.load),
    "spg": Method(spg.fit, spg.load),
    "adl": Method(adl.fit, adl.load),
    "i2c": Method(i2c.fit, i2c.load),
    "ddt": Method(ddt.fit, ddt.load),
    "psol": Method(psol.fit, psol.load),
    "gcnet": Method(gcnet.fit, gcnet.load),
    "tap": Method(tap.fit, tap.load),
    **dict.fromkeys(gradcam.CLASSES, Method(gradcam.fit, gradcam.load)),
}

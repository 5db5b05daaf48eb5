"""Export a run's networks to one ONNX file, from pixels to heatmaps or boxes and class probabilities."""

from __future__ import annotations

import copy
import logging
import warnings
from pathlib import Path

import torch
from jaxtyping import Float, UInt8
from timm.layers import BatchNormAct2d, Conv2dSame
from torch import Tensor, nn

from wsol.config.options import RunConfig
from wsol.data.crops import standardised
from wsol.errors import WsolError
from wsol.inference.onnx.metadata import EXPORTING, OPSET, InputMetadata, OnnxMetadata, check_installed
from wsol.inference.torch_networks import TorchNetworks, load_networks
from wsol.models.checkpoint import MffConfig
from wsol.models.forward import cam_probabilities
from wsol.models.licences import weights_licence
from wsol.models.mffnet import MffNet, OriginalCam
from wsol.runs.run import Run
from wsol.runtime.torch_engine import choose_engine
from wsol.version import __version__

STRIDE_PX = 32
"""Largest stride of the commonly used pyramids of timm."""

Pixels = UInt8[Tensor, "batch 3 _ _"]
Found = Float[Tensor, "batch _ _"] | Float[Tensor, "batch 4"]
GraphOutputs = tuple[Found] | tuple[Found, Float[Tensor, "batch classes"]]


class Graph(nn.Module):
    """The computation of the file: the networks with normalisation before and activations after them.

    It has one input if both networks have the same input size, otherwise two.

    Args:
        networks: the networks of a run, not folded.
    """

    def __init__(self, networks: TorchNetworks) -> None:
        super().__init__()
        self.model, self.model_config, self.compute = networks.model
        self.has_maps = networks.has_maps
        self.names_itself = networks.names_itself
        self.classifier = networks.classifier.network if networks.classifier else None
        self.classifier_config = networks.classifier.model_config if networks.classifier else None

    @property
    def inputs(self) -> dict[str, int]:
        """Names of the inputs, and their height and width in pixels."""
        sizes_px = {"pixels": self.model_config.resize_px}
        if self.classifier_config is not None and self.classifier_config.resize_px != self.model_config.resize_px:
            sizes_px["classifier_pixels"] = self.classifier_config.resize_px
        return sizes_px

    @property
    def backbones(self) -> tuple[str, ...]:
        """The timm names of the networks, without duplicates."""
        configs = [config for config in (self.model_config, self.classifier_config) if config is not None]
        return tuple(dict.fromkeys(config.backbone for config in configs))

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the outputs."""
        first = "heatmap" if self.has_maps else "boxes"
        return (first,) if self.classifier is None and not self.names_itself else (first, "probabilities")

    def forward(self, pixels: Pixels, classifier_pixels: Pixels | None = None) -> GraphOutputs:
        """Compute heatmaps of the predicted classes, or boxes, and class probabilities if the run has them."""
        classified = self._classify(pixels if classifier_pixels is None else classifier_pixels)
        labels = None if classified is None else classified.argmax(1)
        images = standardised(pixels, self.model_config.mean, self.model_config.std)
        heatmaps, boxes, probabilities = self.compute(self.model, images, labels)
        localized = heatmaps if self.has_maps else boxes
        assert localized is not None
        classified = probabilities if self.names_itself else classified
        return (localized,) if classified is None else (localized, classified)

    def _classify(self, pixels: Pixels) -> Tensor | None:
        if self.classifier is None or self.classifier_config is None:
            return None
        scores = self.classifier(standardised(pixels, self.classifier_config.mean, self.classifier_config.std))
        if isinstance(self.classifier, MffNet | OriginalCam):
            assert isinstance(self.classifier_config, MffConfig)
            return cam_probabilities(self.classifier, self.classifier_config, scores)
        probabilities: Tensor = scores.softmax(1)
        return probabilities


class SameConvolution(nn.Module):
    """A convolution with TensorFlow's padding as an attribute of ONNX's operator.

    timm computes the padding from the image size in Python. For a variable size, torch.export then takes minutes and
    adds a dozen operators for each convolution.
    """

    def __init__(self, convolution: Conv2dSame) -> None:
        super().__init__()
        self.convolution = convolution

    def forward(self, features: Tensor) -> Tensor:
        """Return a placeholder with the right shape for the exporter; PyTorch computes nothing."""
        own = self.convolution
        height, width = (
            (size + stride - 1) // stride for size, stride in zip(features.shape[2:], own.stride, strict=True)
        )
        attributes = {
            "auto_pad": "SAME_UPPER",
            "strides": own.stride,
            "dilations": own.dilation,
            "group": own.groups,
            "kernel_shape": own.kernel_size,
        }
        return torch.onnx.ops.symbolic(
            "Conv",
            [features, own.weight] if own.bias is None else [features, own.weight, own.bias],
            attributes,
            dtype=features.dtype,
            shape=(features.shape[0], own.out_channels, height, width),
        )


class BatchNormalization(nn.Module):
    """ONNX's batch norm operator, which the exporter folds into the convolution before it.

    torch.export decomposes PyTorch's operator first, which takes a third of its time.
    """

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, features: Tensor) -> Tensor:
        """Return a placeholder for the exporter, as above."""
        own = self.norm
        return torch.onnx.ops.symbolic(
            "BatchNormalization",
            [features, own.weight, own.bias, own.running_mean, own.running_var],
            {"epsilon": own.eps},
            dtype=features.dtype,
            shape=features.shape,
        )


def _exportable(network: nn.Module) -> nn.Module:
    """A copy with the same outputs and simpler operations for torch.export."""
    changed = copy.deepcopy(network)
    for parent in list(changed.modules()):
        if hasattr(parent, "inplace"):
            # torch.export takes more time to undo it than for everything else.
            parent.inplace = False  # type: ignore[assignment]
        for name, child in parent.named_children():
            if type(child) is Conv2dSame:
                setattr(parent, name, SameConvolution(child))
            elif isinstance(child, nn.BatchNorm2d) and type(child) in (nn.BatchNorm2d, BatchNormAct2d):
                # timm's batch norm has children to apply after it: dropout and activation.
                setattr(parent, name, nn.Sequential(BatchNormalization(child), *child.children()))
    return changed


def write_onnx(graph: Graph, metadata: OnnxMetadata, path: Path) -> None:
    """Write an ONNX file for images of any size.

    Args:
        graph: the networks of a run.
        metadata: stored in the file.
        path: of the file.

    Raises:
        WsolError: onnx is not installed, or a network accepts images of one size only.
        OSError: the disk is full or read-only.
    """
    check_installed(EXPORTING)
    exportable = _exportable(graph.cpu().eval())
    batch = torch.export.Dim("batch")
    # Sizes that are multiples of the stride can be halved without rounding, so torch.export takes seconds instead of
    # minutes. The operators are the same for all sizes, which `wsol export-model --check` verifies.
    shapes = {
        name: {
            0: batch,
            2: STRIDE_PX * torch.export.Dim(f"{name}_rows"),
            3: STRIDE_PX * torch.export.Dim(f"{name}_columns"),
        }
        for name in graph.inputs
    }
    examples = tuple(torch.zeros(2, 3, 3 * STRIDE_PX, 4 * STRIDE_PX, dtype=torch.uint8) for _ in graph.inputs)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # about coming changes of torch and onnxscript
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        try:
            exported = torch.export.export(exportable, examples, dynamic_shapes=shapes, strict=False)
        except (RuntimeError, AssertionError, ValueError) as error:
            raise WsolError(
                f"{' or '.join(graph.backbones)} cannot be exported for images of any size"
                f" ({str(error).strip().splitlines()[0]})",
                expected="convolutional networks",
                remedy="Predict with `--engine torch`, or train with another `--backbone`.",
            ) from None
        program = torch.onnx.export(
            exported,
            input_names=list(graph.inputs),
            output_names=list(graph.outputs),
            dynamic_shapes=shapes,
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None
    for value in program.model.graph.inputs:
        assert value.shape is not None
        value.shape[2], value.shape[3] = (
            name.replace("pixels", axis) for axis in ("height", "width") for name in [value.name or ""]
        )
    program.model.metadata_props.update(metadata.as_metadata())
    program.save(path, external_data=False)


def load_graph(run: Run) -> Graph:
    """Load the networks of a finished run on the CPU.

    Raises:
        WsolError: the run is unfinished, or its method cannot be exported.
    """
    if not run.spec.is_exportable:
        raise WsolError(
            f"{run.config.method} cannot be exported",
            expected="a method without gradients and without a threshold of its own for each map",
            remedy="Predict with `--engine torch`.",
        )
    networks = load_networks(run, choose_engine("cpu", "fp32"))
    if networks.is_multi_label:
        raise WsolError(
            f"{run.folder} was trained on images with several labels, which cannot be exported yet",
            expected="a run of images with one label each",
            remedy="Predict with `--engine torch`.",
        )
    return Graph(networks)


def run_metadata(run: Run, graph: Graph) -> OnnxMetadata:
    """Return the metadata of a run's ONNX file.

    Args:
        run: the run.
        graph: its networks.
    """
    calibration = run.calibration()
    inputs = list(graph.inputs)
    classifier_config = graph.model_config if graph.names_itself else graph.classifier_config
    heatmap, *_ = all_inputs = [
        InputMetadata(name=name, resize_px=metadata.resize_px, mean=metadata.mean, std=metadata.std)
        for name, metadata in ((inputs[0], graph.model_config), (inputs[-1], classifier_config))
        if metadata is not None
    ]
    return OnnxMetadata(
        heatmap=heatmap,
        probabilities=all_inputs[1] if len(all_inputs) > 1 else None,
        class_names=graph.model_config.class_names,
        box=run.box(None if calibration is None else calibration.threshold),
        image_threshold=run.image_threshold,
        no_object=run.no_object(graph.model_config.class_names),
        is_emptied_by_class=run.is_emptied_by_class,
        image=run.config.image,
        licence=_licence(run.config, graph.backbones),
        wsol=__version__,
        weights=run.weight_hashes,
    )


def _licence(config: RunConfig, backbones: tuple[str, ...]) -> str:
    """The licences of wsol and of the pretrained weights, as far as timm states them."""
    parts = ["wsol: Apache-2.0"]
    for name in backbones:
        stated = weights_licence(name, config.weights or config.classifier_weights)
        parts.append(f"ImageNet weights of {name}: {stated or 'not known'}")
    return "; ".join([*parts, "training images: as their owners say"])

"""`wsol predict` and the commands that use its output or a run's networks: export, review, export-model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from wsol.cli.common import Device, Flag, NetworkPrecision, check_outputs
from wsol.config.base import EngineName, Objects
from wsol.config.messages import check_fraction
from wsol.runtime.processes import part
from wsol.runtime.terminal import print_result


def predict(
    run: Path,
    images: Path,
    *,
    out: Path,
    threshold: float | None = None,
    objects: Objects | None = None,
    device: Device = "auto",
    precision: NetworkPrecision = "auto",
    engine: EngineName = "torch",
) -> None:
    """Find the objects in images: boxes, masks, scores and classes.

    Parameters
    ----------
    run
        A finished run.
    images
        An image, a folder of images at any depth, a list of paths (.txt, one a line, relative to the list), or a
        pattern in quotes ('photos/*.jpg').
    out
        New folder for predictions.jsonl. The same command continues an interrupted prediction.
    threshold
        Pixels with a foreground probability above this value belong to the mask. Default: the threshold of the run. If
        a run has a threshold per image (recipe wsol), each heatmap is first shifted so that its threshold
        equals that of the run.
    objects
        Only the largest object of each image, or all. Default: the choice of the run.
    engine
        torch: PyTorch. onnx: onnxruntime with RUN/model.onnx, which is created on first use (`pip install
        'wsol[export]'`; an existing file needs no PyTorch).
    """
    if threshold is not None:
        check_fraction("threshold", threshold)  # before the import of torch, which takes seconds
    from wsol.commands import predict as command

    try:
        folder = command.predict(
            run, images, out, threshold=threshold, objects=objects, device=device, precision=precision, engine=engine
        )
    except KeyboardInterrupt:
        if command.is_begun(out):
            raise
        raise KeyboardInterrupt("interrupted before anything was saved; the same command starts again") from None
    if part().is_first:
        print_result(folder)


def export(
    predictions: Path,
    *,
    out: Path,
    format: Literal["coco", "yolo", "yolo-polygons", "voc", "labelstudio", "cvat", "fiftyone", "csv", "crops", "masks"],
    reviewed: Flag = False,
    with_undecided: Flag = False,
    classes: Literal["predicted", "folder"] = "predicted",
    images: Path | None = None,
) -> None:
    """Export predictions to the format of an annotation or training tool.

    Parameters
    ----------
    predictions
        A folder written by `wsol predict`.
    format
        coco (instances and results), yolo (boxes, with the images), yolo-polygons (outlines of masks), voc (PASCAL VOC
        XML), labelstudio (tasks and labels), cvat (CVAT for images 1.1), fiftyone (a folder with the images), csv (one
        line per object), crops (one folder per class), masks (one PNG per image).
    out
        New folder for the export; its README.txt explains how to load it.
    reviewed
        Export only images that were accepted, corrected or marked as without an object in `wsol review`, with the
        reviewed boxes and classes. Boxes drawn or moved by hand have no mask: yolo-polygons and masks leave out their
        images.
    with_undecided
        With --reviewed: also export the images without a decision, as predicted.
    classes
        predicted, or folder: an image below a folder named exactly like a class of the run gets that class; other
        images keep the predicted class. The folder given to `wsol predict` counts too. With --reviewed, a class that
        was chosen on the page has priority; accepting an image does not choose a class.
    images
        The folder of the images, if they have moved. Also required where images are copied and the predictions belong
        to another user, or an image is a link out of the folder.
    """
    from wsol.commands import export as command

    folder = command.export(
        predictions, format, out, reviewed=reviewed, with_undecided=with_undecided, classes=classes, images=images
    )
    print_result(folder)


def review(
    predictions: Path,
    *,
    sample: int | None = None,
    port: int | None = None,
    open_browser: Annotated[bool, Parameter(name="--open", negative="")] = False,
) -> None:
    """Review predictions in a browser: accept, reject, correct boxes and classes.

    The page is served on this machine only (127.0.0.1). Each decision is saved to PREDICTIONS/review.jsonl at once.
    Ctrl-C ends the review, the same command continues it. Next: `wsol export PREDICTIONS --reviewed --format FORMAT
    --out OUT`.

    Parameters
    ----------
    predictions
        A folder written by `wsol predict`.
    sample
        Review only this number of images, sampled at random. Default: all images, the least confident first. 20 images
        are enough for `wsol calibrate RUN --reviewed PREDICTIONS`, which estimates the accuracy of the run and learns
        its box threshold.
    port
        Port of the page. Default: a free one. To open the page from another machine: `ssh -L PORT:127.0.0.1:PORT`.
    open_browser
        Open the page in your browser.
    """
    from wsol.review import serve

    serve.review(predictions, sample=sample, port=port, open_browser=open_browser)


def export_model(run: Path, *, format: Literal["onnx"], out: Path | None = None, check: Flag = False) -> None:
    """Export the networks of a run to one file that works without PyTorch and without the run.

    Parameters
    ----------
    run
        A finished run.
    format
        onnx: uint8 pixels as input, heatmap and class probabilities as output; the metadata describes both.
    out
        The file. Default: RUN/model.onnx, which `wsol predict --engine onnx` reads.
    check
        Compare the outputs with PyTorch for three input shapes, and write the file only if they agree.
    """
    check_outputs({"--out": out})
    from wsol.commands import export_model as command

    file, differences = command.export_model(run, out, check=check)
    if check:
        print_result(command.as_table(differences))
    print_result(file)

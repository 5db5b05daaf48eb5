"""`wsol predict`, and what is done with predictions and networks: export, review, export-model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from wsol.cli.common import Flag, check_outputs
from wsol.config.base import EngineName, Objects, Precision
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
    device: str = "auto",
    precision: Precision = "auto",
    engine: EngineName = "torch",
) -> None:
    """Find the objects in images: boxes, masks, scores and classes.

    Parameters
    ----------
    run
        A finished run.
    images
        An image, or a folder of images at any depth.
    out
        New folder for predictions.jsonl. The same command continues an interrupted prediction.
    threshold
        Foreground probability above which a pixel belongs to the mask; the run's own by default. Where each image has
        its own threshold (a run of the recipe wsol), its map is shifted so that it stands at the run's, and this one
        cuts the shifted map.
    objects
        The largest object of each image, or all; the run's own choice by default.
    engine
        What computes the networks: PyTorch, or onnxruntime from RUN/model.onnx, which is made on first use
        (`pip install 'wsol[export]'`; a file that is there needs no PyTorch).
    """
    if threshold is not None:
        check_fraction("threshold", threshold)  # ahead of torch, whose import takes seconds
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
    """Write predictions in the format of another tool.

    Parameters
    ----------
    predictions
        What `wsol predict` wrote.
    format
        coco (instances and results), yolo (boxes, with the images), yolo-polygons (outlines of masks), voc (PASCAL VOC
        XML), labelstudio (tasks and labels), cvat (CVAT for images 1.1), fiftyone (a folder with the images), csv (one
        line an object), crops (a folder for each class), masks (one PNG an image).
    out
        New folder for the export; its README.txt says how to load it.
    reviewed
        Only the images that were accepted or corrected in `wsol review`, as they were left there. Rejected ones are
        left out, and those nobody has looked at. Boxes drawn or moved have no mask: yolo-polygons and masks leave their
        images out.
    with_undecided
        With --reviewed: the images nobody has looked at too, as predicted.
    classes
        predicted, or folder: of an image below a folder named exactly like a class of the run, that class; the folder
            that
        `wsol predict` was given counts, too. Other images keep the predicted one. With --reviewed a class that was
        chosen on the page wins, be it the predicted one; who only accepts an image chooses none.
    images
        The folder of the images, if they moved since. Also needed where images are copied and it is not sure that you
        mean these: the predictions are another user's, or an image is a link that leads out of the folder.
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
    """Go through predictions in a browser: accept, reject, correct boxes and classes.

    The page is for this machine alone (127.0.0.1). Each decision is in PREDICTIONS/review.jsonl before the page says
    so; Ctrl-C ends it, the same command continues. Then `wsol export PREDICTIONS --reviewed --format FORMAT --out OUT`.

    Parameters
    ----------
    predictions
        What `wsol predict` wrote.
    sample
        Show only so many images, drawn at random, in place of all from the least confident on. 20 are enough to know
        roughly how good
        the run is: `wsol calibrate RUN --reviewed PREDICTIONS` says it, and learns the box threshold from them.
    port
        Of the page's address; a free one by default. To see the page of another machine: `ssh -L PORT:127.0.0.1:PORT`.
    open_browser
        Open the page in your browser.
    """
    from wsol.review import serve

    serve.review(predictions, sample=sample, port=port, open_browser=open_browser)


def export_model(run: Path, *, format: Literal["onnx"], out: Path | None = None, check: Flag = False) -> None:
    """Write a run's networks as one file that needs neither PyTorch nor the run.

    Parameters
    ----------
    run
        A finished run.
    format
        onnx: uint8 pixels in, heatmap and class probabilities out; the file's metadata says the rest.
    out
        The file; model.onnx in the run by default, where `wsol predict --engine onnx` looks for it.
    check
        Compare the file with PyTorch on three shapes, and write it only if they agree.
    """
    check_outputs({"--out": out})
    from wsol.commands import export_model as command

    file, differences = command.export_model(run, out, check=check)
    if check:
        print_result(command.as_table(differences))
    print_result(file)

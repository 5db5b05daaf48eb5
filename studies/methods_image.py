"""Draw the outputs of every run of a grid for the same photographs: map, predicted box and annotated box.

    python studies/methods_image.py studies/grids/table1.yaml DATA --runs runs/studies --out docs/methods.jpg

One line per row of the grid whose run of the first seed is finished. The photographs are not selected by hand: they are
the first test images of classes at equal distances.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from run import Run, parser_of, read_grid, runs_of

from wsol import WsolError, open_data
from wsol.data.samples import DataSet, Sample
from wsol.reports.gallery import Gallery, GalleryItem
from wsol.reports.panels import INK, PALE_INK, PAPER, Panel, fitted, panel_boxes, panel_map
from wsol.runtime.progress import Progress

PHOTOS = 5
CELL_WH = 320, 240
GAP_PX, LABEL_WIDTH_PX, TEXT_PX, NOTE_PX = 12, 330, 26, 20


def photographs(data: DataSet, number: int) -> list[Sample]:
    """The first test images of some classes at equal distances."""
    first = {sample.label: sample for sample in reversed(data.test)}
    labels = sorted(first)
    number = min(number, len(labels))
    return [first[labels[i * len(labels) // number]] for i in range(number)]


def panel(shown: GalleryItem) -> Panel:
    """The map with both boxes over it; the photograph if the method has no map."""
    small = replace(fitted(shown), cam=None)
    return panel_boxes(small if small.heatmap is None else replace(small, photo=panel_map(small)))


def sheet(lines: Sequence[tuple[str, Sequence[GalleryItem]]]) -> Image.Image:
    """Photographs side by side, a line for each method below them."""
    columns = len(lines[0][1])
    size = (
        LABEL_WIDTH_PX + columns * (CELL_WH[0] + GAP_PX),
        GAP_PX + (1 + len(lines)) * (CELL_WH[1] + GAP_PX),
    )
    paper = Image.new("RGB", size, PAPER)
    pen = ImageDraw.Draw(paper)
    photos = [fitted(one).photo for one in lines[0][1]]
    cells = [("photograph", photos, [""] * columns)]
    cells += [
        (name, [panel(one) for one in shown], ["" if one.iou is None else f"{one.iou:.2f}" for one in shown])
        for name, shown in lines
    ]
    for row, (name, panels, notes) in enumerate(cells):
        top = GAP_PX + row * (CELL_WH[1] + GAP_PX)
        for line, words in enumerate(_halves(name)):
            pen.text(
                (GAP_PX, top + CELL_WH[1] // 2 + 32 * line),
                words,
                (INK, PALE_INK)[line],
                ImageFont.load_default(TEXT_PX),
                anchor="lm",
            )
        for column, (pixels, note) in enumerate(zip(panels, notes, strict=True)):
            left = LABEL_WIDTH_PX + column * (CELL_WH[0] + GAP_PX)
            _place(paper, pen, pixels, note, (left, top))
    return paper


def _halves(name: str) -> list[str]:
    """`CAM (Zhou et al. 2016)` as a name and where it is from, `SPOL, released values` as a name and what is
    special.
    """
    mark = " (" if "(" in name else ", "
    name, _, rest = name.partition(mark)
    return [name, rest.rstrip(")")] if rest else [name]


def _place(paper: Image.Image, pen: ImageDraw.ImageDraw, pixels: Panel, note: str, at: tuple[int, int]) -> None:
    """A panel in the middle of its cell, the IoU in its corner."""
    image = Image.fromarray(np.ascontiguousarray(pixels))
    x, y = (at[i] + (CELL_WH[i] - image.size[i]) // 2 for i in range(2))
    paper.paste(image, (x, y))
    if note:
        font = ImageFont.load_default(NOTE_PX)
        pen.rectangle((x, y, x + font.getlength(note) + 10, y + NOTE_PX + 6), fill=INK)
        pen.text((x + 5, y + 3), note, PAPER, font)


def finished(everything: Sequence[Run], runs: Path) -> list[Run]:
    """Finished runs of the first seed."""
    first = min(run.seed for run in everything)
    return [run for run in everything if run.seed == first and run.row.which == "seg" and run.result(runs).exists()]


def main() -> None:
    """Load one run after the other, and draw."""
    parser = parser_of(__doc__)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    try:
        (_, everything), data = read_grid(given.grid), open_data(given.data, given.images)
        runs = runs_of(data, given.runs)
        done = finished(everything, runs)
        if not done:
            raise WsolError(
                f"no finished run of {given.grid} below {runs}", remedy="Make them with studies/run.py first."
            )
        chosen, ground_truth = photographs(data, PHOTOS), data.read_ground_truth()
        lines = [
            (
                run.row.name,
                list(
                    Gallery(run.folder(runs), device="cpu", precision="fp32")(
                        chosen, ground_truth, Progress(quiet=True)
                    )
                ),
            )
            for run in done
        ]
        sheet(lines).reduce(2).save(given.out, quality=88)  # drawn at twice the size, for smooth lines
    except WsolError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()

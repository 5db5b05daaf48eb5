"""Train and evaluate a grid of recipes over seeds, and write a table.

    python studies/run.py studies/grids/recipes.yaml DATA --runs runs/studies

A grid is a small YAML file: the settings of all rows, the changes of each row, and the seeds. Every row and seed is a
run made with wsol's own commands, so the same command continues an interrupted study and keeps what is finished. Stages
with equal settings and inputs are trained once and shared between rows. The table in studies/results/ is rewritten
after every run; numbers of runs that were deleted, or made on another machine, stay as long as the values of the row
and the data are the same.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from wsol import RunConfig, WsolError, open_data
from wsol.config.base import ProtocolName
from wsol.config.groups import classifier_of, first_networks, groups_of, options_unread
from wsol.config.image import Decoding
from wsol.config.messages import as_error
from wsol.config.methods import METHODS
from wsol.config.recipes import merged, resolve
from wsol.data.images import image_hw
from wsol.data.open import open_ground_truth
from wsol.data.samples import DataSet
from wsol.geometry.boxes import centre_box
from wsol.methods.base import settings_of, trained_as
from wsol.storage.folders import MANIFEST, text_hash, write_json, write_text

HERE = Path(__file__).parent
Tree = dict[str, Any]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Row(_Strict):
    """A row of the table: its changes to the common configuration, and the stage to evaluate."""

    name: str
    config: Tree = {}
    which: Literal["seg", "cam", "cues", "centre-box"] = "seg"
    """The stage to evaluate, or no network at all: a box in the centre, half of the image."""
    own_terms: str | None = None
    """What differs from the terms of the other rows, if the grid has `equal_terms`."""
    seeds: tuple[int, ...] | None = None
    reference: float | None = None
    """GT-known Loc reported by a paper."""


class Grid(_Strict):
    """A study."""

    title: str
    seeds: tuple[int, ...]
    protocols: tuple[ProtocolName, ...] = ("original", "wsol-v2")
    common: Tree = {}
    costs: bool = False
    """Whether the table shows time and memory of training and prediction."""
    equal_terms: bool = False
    """Whether all rows must have the same terms (`terms_of`) unless they say what differs."""
    rows: tuple[Row, ...]


OF_THE_MACHINE = (
    "device",
    "micro_batch",
    "compile",
    "cache_gb",
    "disk_cache_gb",
    "cache_folder",
    "workers",
    "checkpoint_seconds",
    "track",
)


LATER = {"no_object": None, "instant.map": "auto", "multi_label": "auto", "image": Decoding(), "columns": None}
"""Options that came later, and the values with which nothing changes on the data of these studies: earlier results
stay."""


@dataclass(frozen=True)
class Run:
    """A row with one of its seeds."""

    row: Row
    seed: int
    config: RunConfig
    """The resolved configuration."""
    protocols: tuple[ProtocolName, ...]
    has_costs: bool

    @property
    def values(self) -> str:
        """Hash of all settings that change the result, without the seed, machine settings and unused groups."""
        # Unused groups are left out with their names: a new method adds a new group.
        left_out: Tree = {
            group: names if group in groups_of(self.config) else True
            for group, names in options_unread(self.config).items()
        } | dict.fromkeys(("seed", *OF_THE_MACHINE), True)
        for option, unchanged in LATER.items():
            *group, name = option.split(".")
            if attrgetter(option)(self.config) != unchanged:
                continue
            if not group:
                left_out[name] = True
            elif left_out[group[0]] is not True:
                left_out[group[0]] = left_out[group[0]] | {name}
        return text_hash(iter([self.config.model_dump_json(exclude=left_out)]))[:8]

    def folder(self, runs: Path) -> Path:
        """Folder of the run; a row with changed values gets a new one."""
        slug = "-".join("".join(letter if letter.isalnum() else " " for letter in self.row.name.lower()).split())
        return runs / f"{slug}-{self.values}" / f"seed-{self.seed}"

    def result(self, runs: Path) -> Path:
        """File that `wsol evaluate` writes for this run."""
        return self.folder(runs) / f"{self.row.which}.json"


def read_grid(path: Path) -> tuple[str, list[Run]]:
    """Read a grid file.

    Args:
        path: YAML file.

    Returns:
        Title and all runs: rows in order, each with its seeds.

    Raises:
        WsolError: an unknown name, an invalid value, a value without a command-line option, or a duplicate row.
    """
    try:
        grid = Grid.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
        runs = [
            Run(
                row,
                seed,
                _config(merged(grid.common, row.config) | {"seed": seed}, row.name),
                grid.protocols,
                grid.costs,
            )
            for row in grid.rows
            for seed in row.seeds or grid.seeds
        ]
    except (ValidationError, yaml.YAMLError, OSError) as error:
        mistake = _first_mistake(error) if isinstance(error, ValidationError) else str(error)
        raise WsolError(
            f"{path} is not a grid ({mistake})", expected="title, seeds, common and rows as in studies/grids"
        ) from None
    title = grid.title
    if grid.equal_terms:
        title += f" ({'; '.join(f'{name}: {value}' for name, value in check_terms(runs).items())})"
    twice = [name for name, count in Counter((run.row.name, run.seed) for run in runs).items() if count > 1]
    if twice:
        raise WsolError(
            f"{path} has row {twice[0][0]!r} with seed {twice[0][1]} twice",
            expected="each once, since the table averages runs with the same name",
            remedy="Rename one of them.",
        )
    return title, runs


Terms = dict[str, str]
"""What should be the same for all rows of a comparison, in words."""


def terms_of(config: RunConfig) -> Terms:
    """Return what a run has in common with the others if they are compared on equal terms.

    Args:
        config: the resolved configuration.

    Returns:
        Terms by name; a method has only those that it depends on.
    """
    spec = METHODS[config.method]
    terms = {"backbone": config.backbone}
    views = {"training": (config.training.resize_px, 1.0), "instant": (config.instant.resize_px, 1.0)}
    if config.method == "spol":
        views |= {"cam": (config.cam.resize_px, 1.0), "seg": (config.seg.resize_px, config.seg.scale)}
    read = [name for name in groups_of(config) if name in views]
    terms["image at prediction"] = _same(f"{px * scale:.0f} px" for px, scale in map(views.__getitem__, read))
    if "training" in read:
        terms["feature map"] = f"{config.training.feature}, stride {config.training.output_stride}"
    if spec.is_trained:
        trained = [getattr(config, name) for name in read if name != "instant"]
        terms["crop in training"] = _same(f"{one.crop_px} of {one.resize_px} px" for one in trained)
        terms["passes"] = _same(f"{one.epochs} epochs of each network" for one in trained)
        terms["batch"] = _same(f"{one.batch_size} images" for one in trained)
        terms["batch norm"] = _same(one.batch_norm for one in trained)
    return terms


def _same(values: Iterable[str]) -> str:
    return " and ".join(dict.fromkeys(values))


def check_terms(runs: Sequence[Run]) -> Terms:
    """Check that all rows of a comparison have the same terms, except those that say what differs.

    Args:
        runs: all runs of the grid.

    Returns:
        The terms.

    Raises:
        WsolError: two rows differ, or a row says that it differs and does not.
    """
    terms: Terms = {}
    first: dict[str, str] = {}
    compared = [run for run in runs if run.row.which != "centre-box"]
    for run in compared:
        for name, value in terms_of(run.config).items() if run.row.own_terms is None else ():
            if terms.setdefault(name, value) != value:
                raise WsolError(
                    f"rows {first[name]!r} and {run.row.name!r} are not on equal terms ({name})",
                    expected=terms[name],
                    got=value,
                    remedy="Make them equal, or say in `own_terms` what differs.",
                )
            first.setdefault(name, run.row.name)
    for run in compared:
        if run.row.own_terms is not None and terms_of(run.config).items() <= terms.items():
            raise WsolError(f"row {run.row.name!r} has `own_terms`, but the terms of all rows", expected="none")
    return terms


def _first_mistake(error: ValidationError) -> str:
    """The first mistake and its position, such as `rows.0.which`."""
    problem = error.errors(include_url=False)[0]
    return f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}, got {json.dumps(problem['input'], default=str)}"


def _config(values: Tree, name: str) -> RunConfig:
    try:
        config = resolve(RunConfig.model_validate(values))
    except ValidationError as error:
        raise WsolError(f"row {name!r}: {as_error(error)}") from None
    if resolve(RunConfig.model_validate(config.model_dump(exclude_none=True))) != config:
        raise WsolError(
            f"row {name!r} sets a value of its recipe to null",
            expected="a value, since no command-line option stands for null",
            remedy="Start from another recipe.",
        )
    return config


def options(values: Tree, lead: str = "--") -> Iterator[str]:
    """Convert a configuration to command-line options; None has no option, since recipes set it.

    Args:
        values: settings by name; nested groups become dotted names.
        lead: prefix of the options.

    Yields:
        Options and their values.
    """
    for name, value in values.items():
        word = f"{lead}{name.replace('_', '-')}"
        if isinstance(value, dict):
            yield from options(value, f"{word}.")
        elif isinstance(value, bool):
            yield word if value else f"{lead}no-{name.replace('_', '-')}"
        elif value is not None:
            yield from (word, str(value))


CENTRE_FRACTION = 0.5**0.5
"""Width and height of the centre box, as fractions of the image's."""
COMMANDS = {"cam": "train-cam", "pseudo": "make-pseudo", "seg": "train-seg", "classifier": "train-classifier"}
FOLDERS = {"pseudo": ("cues", "pseudo")}
"""Folders that a command writes, if they are not named like the stage."""
SHARED = {
    "cues": ("backbone", "weights", "precision", "instant"),
    "cam": ("backbone", "weights", "seed", "precision", "cam"),
    "pseudo": ("backbone", "weights", "seed", "precision", "cam", "pseudo", "instant"),
    "seg": ("backbone", "weights", "seed", "precision", "cam", "pseudo", "instant", "seg"),
    "classifier": ("backbone", "weights", "classifier", "classifier_weights", "seed", "precision", "classify"),
}
"""Folders that rows can share, and the settings that each depends on."""
LAST = {"cam": "cam", "cues": "pseudo"}
"""The last stage of a row that evaluates an early stage only."""


def make(run: Run, data: Path, images: Path | None, runs: Path) -> None:
    """Run the missing stages, and evaluate."""
    folder, image_option = run.folder(runs), ["--images", str(images)] if images else []
    if run.row.which == "centre-box":
        boxes = write_centre_boxes(open_ground_truth(data, images, multi_label=True), folder / "boxes.csv")
        system = ["--boxes", str(boxes), "--truth", str(data)]
    else:
        _train(run, data, image_option, runs)
        if run.has_costs and run.row.which == "seg":
            _predict(folder, data, images)
        system = [str(folder), str(data), "--which", run.row.which]
    protocols = ["--protocol", ",".join(run.protocols), "--json", str(run.result(runs))]
    _wsol("evaluate", *system, *image_option, *protocols)


def write_centre_boxes(data: DataSet, file: Path) -> Path:
    """Write a box for each test image: in the centre, of the image's aspect ratio and half of its area."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("path", "x0", "y0", "x1", "y1"))
    for sample in data.test:
        writer.writerow((sample.image_id, *centre_box(image_hw(sample.path), CENTRE_FRACTION)))
    write_text(file, text.getvalue())
    return file


def _train(run: Run, data: Path, image_option: Sequence[str], runs: Path) -> None:
    folder = run.folder(runs)
    unread = options_unread(run.config)  # the common values may be for other methods, too
    chosen = [*image_option, *options(run.config.model_dump(mode="json", exclude=unread))]
    peaks_mb = [_peak_mb(folder)]
    if run.config.method != "spol":
        peaks_mb.append(_fit(run.config, folder, runs, [str(data), "--run", str(folder), *chosen]))
    for stage, command in COMMANDS.items():
        if run.config.method != "spol":
            break
        if stage == "cam" and (run.row.which == "cues" or "cam" not in first_networks(run.config)):
            continue
        kept = {folder / name: shared for name, shared in _shared(run.config, stage, runs).items()}
        for own, shared in kept.items():
            _take(shared, own)
        # Also for an existing stage: the command checks whether it is finished, and saves the configuration.
        peaks_mb.append(_wsol(command, str(data), "--run", str(folder), *chosen))
        write_json(folder / PEAK, max(peaks_mb))
        for own, shared in kept.items():
            _take(own, shared)
        if stage == LAST.get(run.row.which):
            break
    write_json(folder / PEAK, max(peaks_mb))


PREDICTED, PEAK = "predicted", "peak_mb.json"


def _peak_mb(folder: Path) -> float:
    """Peak memory of this row's training commands in MB; 0 if none ran. Stages trained by another row do not count."""
    path = folder / PEAK
    return float(json.loads(path.read_text())) if path.exists() else 0.0


def _predict(folder: Path, data: Path, images: Path | None) -> None:
    """Predict the test images, to measure the time."""
    if (folder / PREDICTED / MANIFEST).exists():
        return
    image_folder = folder / "test-images"
    shutil.rmtree(image_folder, ignore_errors=True)
    image_folder.mkdir(parents=True)
    for number, sample in enumerate(open_data(data, images, multi_label=True).test):
        (image_folder / f"{number:06}{sample.path.suffix}").symlink_to(sample.path.resolve())
    _wsol("predict", str(folder), str(image_folder), "--out", str(folder / PREDICTED))
    shutil.rmtree(image_folder)


def _shared(config: RunConfig, stage: str, runs: Path) -> dict[str, Path]:
    """Shared copies of the folders that a stage writes, for rows with the same settings."""
    values = config.model_dump(mode="json")
    names = [name for name in FOLDERS.get(stage, (stage,)) if name != "cues" or config.pseudo.masks == "cues"]
    keys = {name: json.dumps([values[group] for group in SHARED[name]], sort_keys=True) for name in names}
    return {name: runs / "shared" / f"{name}-{text_hash(iter([key]))[:12]}" for name, key in keys.items()}


def _fit(config: RunConfig, run: Path, runs: Path, words: Sequence[str]) -> float:
    """Train a method other than SPOL; return the peak memory in MB, also if another row has trained the network."""
    kept = {}
    if trained_as(config) == "cam":
        kept[run / METHODS[config.method].folder] = _network(config, runs)
    if classifier_of(config) is not None:
        kept |= {run / name: shared for name, shared in _shared(config, "classifier", runs).items()}
    for own, shared in kept.items():
        _take(shared, own)
    peak_mb = max([_wsol("fit", *words), *map(_peak_mb, kept)])
    for own, shared in kept.items():
        write_json(own / PEAK, peak_mb)
        _take(own, shared)
    return peak_mb


def _network(config: RunConfig, runs: Path) -> Path:
    """Shared copy of the network of `cam`, which all gradient CAMs use."""
    key = text_hash(iter([json.dumps(settings_of(config), sort_keys=True, default=str)]))[:12]
    return runs / "shared" / f"cam-network-{key}"


def _take(source: Path, target: Path) -> None:
    """Hard-link a finished folder to another name; do nothing if it is unfinished or the target exists."""
    if not (source / MANIFEST).exists() or target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.linked")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        shutil.copytree(source, partial, copy_function=os.link)
    except (OSError, shutil.Error):  # not every file system has hard links
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(source, partial)
    partial.rename(target)


def _wsol(*words: str) -> float:
    """Run a command; return the peak memory of its largest process in MB of 10^6 bytes."""
    process = subprocess.Popen([sys.executable, "-m", "wsol", *words])
    try:
        _, status, used = os.wait4(process.pid, 0)
    except BaseException:  # otherwise it would go on training and keep the run's lock
        process.terminate()
        process.wait()
        raise
    process.returncode = os.waitstatus_to_exitcode(status)  # otherwise Popen would wait for a process that has ended
    if process.returncode:
        raise WsolError(
            f"`wsol {' '.join(words[:2])}` failed; its message is above",
            expected="exit code 0",
            got=f"{process.returncode}",
            remedy="The same command continues the study.",
        )
    return used.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6


def unwind_when_terminated() -> None:
    """Let SIGTERM end this process like an interrupt, with all cleanup."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


def training_minutes(folder: Path) -> float:
    """Seconds of all stages of a run, including those trained by another row."""
    manifests = [*folder.glob(f"*/{MANIFEST}")]
    return sum(float(json.loads(path.read_text())["figures"]["seconds"]) for path in manifests) / 60


def parser_of(description: str | None) -> argparse.ArgumentParser:
    """Arguments of all commands on a grid."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("grid", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--images", type=Path, help="folder of the images, if it is not the usual one of the data set")
    parser.add_argument("--runs", type=Path, default=Path("runs/studies"))
    return parser


def runs_of(data: DataSet, runs: Path) -> Path:
    """Folder of the runs on one data set."""
    return runs / data.training_hash()[:8]


def main() -> None:
    """Make every missing run, and write the table after each."""
    parser = parser_of(__doc__)
    parser.add_argument("--only", action="append", help="only the row of this name; may be repeated")
    parser.add_argument("--finished", action="store_true", help="train nothing; write the table of the finished runs")
    parser.add_argument("--list", action="store_true", help="list the runs and whether they are finished, then stop")
    parser.add_argument(
        "--out", type=Path, help="the table; studies/results/<grid>.md by default, the numbers in a .json beside it"
    )
    given = parser.parse_args()
    try:
        (title, everything), data = read_grid(given.grid), open_data(given.data, given.images, multi_label=True)
        _check_names(given.only or [], everything)
        runs = runs_of(data, given.runs)
        out = given.out or HERE / "results" / f"{given.grid.stem}.md"
        described = f"{title}; {data.describe().replace(f' {data.root}', '')}"
        study = Study(everything, described, runs.name, len(data.train), runs, out)
        if given.list:
            for run in everything:
                print(
                    f"{'finished' if study.found(run) else 'missing':8} {run.row.name}, seed {run.seed}:"
                    f" {run.folder(runs)}"
                )
            return
        study.write()
        # Seed by seed: an interrupted study has complete comparisons, and rows of one seed share their first stages.
        for run in sorted(everything, key=lambda run: run.seed):
            if not given.finished and (not given.only or run.row.name in given.only) and not study.found(run):
                print(f"# {run.row.name}, seed {run.seed}: {run.folder(runs)}", flush=True)
                make(run, given.data, given.images, runs)
                study.write()
    except WsolError as error:
        sys.exit(f"error: {error}")


def _check_names(only: Sequence[str], everything: Sequence[Run]) -> None:
    names = [*dict.fromkeys(run.row.name for run in everything)]
    for name in only:
        if name not in names:
            raise WsolError(f"no row {name!r} for --only", expected=f"one of {', '.join(names)}")


class Study:
    """Results of a grid: of the existing runs, and those written earlier."""

    def __init__(
        self, everything: Sequence[Run], described: str, data: str, image_folder: int, runs: Path, out: Path
    ) -> None:
        self.everything, self.described, self.data = everything, described, data
        self.image_folder, self.runs, self.out = image_folder, runs, out
        self._written = self._read()
        if self._written and all(one["data"] != data for one in self._written):
            raise WsolError(
                f"{out.with_suffix('.json')} has results of other data: expected those of {data}, got"
                f" {self._written[0]['data']}. Name another table with --out; these would be lost."
            )

    def _read(self) -> list[Tree]:
        earlier = self.out.with_suffix(".json")
        found: list[Tree] = json.loads(earlier.read_text()) if earlier.exists() else []
        return found

    def found(self, run: Run) -> Tree | None:
        """Results of a run; None if it has not been made."""
        key = {"row": run.row.name, "seed": run.seed, "values": run.values, "data": self.data}
        if not run.result(self.runs).exists():
            return next((one for one in self._written if key.items() <= one.items()), None)
        folder = run.folder(self.runs)
        found = key | {
            "minutes": training_minutes(folder),
            "images": self.image_folder,
            "judged": json.loads(run.result(self.runs).read_text()),
        }
        predicted = folder / PREDICTED / MANIFEST
        if predicted.exists():
            found["predicted_per_second"] = json.loads(predicted.read_text())["figures"]["images_per_second"]
            found["peak_mb"] = _peak_mb(folder)
        return found

    def write(self) -> None:
        """Write the table and the numbers of all finished runs, including those of other processes."""
        self._written = self._read()
        found = [one for one in map(self.found, self.everything) if one is not None]
        self.out.parent.mkdir(parents=True, exist_ok=True)
        write_json(self.out.with_suffix(".json"), found)
        write_text(self.out, table(self.everything, found, self.described))


COLUMNS = {
    "Top-1 Loc": ("original", "top1_loc"),
    "Top-5 Loc": ("original", "top5_loc"),
    "GT-known at its threshold": ("original", "gt_known"),
    "at Otsu's of each map": ("original", "gt_known_otsu"),
    "at the best": ("original", "gt_known_best_threshold"),
    "MaxBoxAcc": ("wsol-v1", "max_box_acc"),
    "MaxBoxAccV2": ("wsol-v2", "max_box_acc_v2"),
    "mean box IoU": ("original", "mean_box_iou"),
    "AUC of the score": ("original", "score_auc"),
}


COSTS = ("ms of training an image", "ms a predicted image", "peak MB")


def _costs(done: Sequence[Tree]) -> list[str]:
    """Minimum over seeds, since other work on the machine only adds; empty if a seed has no value."""
    if not done or any("peak_mb" not in one for one in done):
        return [""] * len(COSTS)
    of_each = [
        (6e4 * one["minutes"] / one["images"], 1e3 / one["predicted_per_second"], one["peak_mb"]) for one in done
    ]
    return [f"{value:.0f}" for value in np.min(of_each, axis=0)]


def table(everything: Sequence[Run], found: Sequence[Tree], described: str) -> str:
    """Markdown table: mean and standard deviation over seeds, or the 95 % interval over images of a single seed."""
    n = sorted({one["n"] for run in found for one in run["judged"]})
    protocols = ", ".join(f"`{name}`" for name in everything[0].protocols) if everything else "none"
    seeds_of_all = ", ".join(map(str, sorted({run.seed for run in everything})))
    columns = {head: place for head, place in COLUMNS.items() if any(_metric(one, *place) for one in found)}
    costs = COSTS if everything and everything[0].has_costs else ()
    heads = [
        "row",
        "seeds",
        "threshold",
        *columns,
        "gap to the best",
        "minutes of training",
        *costs,
        "a paper's GT-known",
    ]
    lines = [
        (
            f"Protocols {protocols}; {described}; seeds {seeds_of_all}; n = {', '.join(map(str, n)) or 'none yet'}. In"
            " percent: mean and standard deviation"
        ),
        (
            "over seeds, or the 95 % interval over images where there is one seed. The best threshold is chosen with"
            f" the true boxes. {'Times and memory' if costs else 'Minutes'} are the least of all seeds.\n"
        ),
        f"| {' | '.join(heads)} |",
        "|" + "---|" * len(heads),
    ]
    for name in dict.fromkeys(run.row.name for run in everything):
        of_row = [run for run in everything if run.row.name == name]
        done = [one for one in found if one["row"] == name]
        cells = [_cell([_metric(one, *place) for one in done]) for place in columns.values()]
        own, best = (_values(done, name) for name in ("gt_known", "gt_known_best_threshold"))
        gap = f"{np.mean(best) - np.mean(own):.1f}" if own and len(own) == len(best) == len(done) else ""
        thresholds = sorted(
            {
                f"{judged['threshold']:.2f}"
                for one in done
                for judged in one["judged"]
                if judged["threshold"] is not None
            }
        )
        minutes = f"{min(one['minutes'] for one in done):.0f}" if done else ""
        reference = "" if of_row[0].row.reference is None else f"{of_row[0].row.reference:.1f}"
        own_terms = of_row[0].row.own_terms
        shown = name if own_terms is None else f"{name} ({own_terms})"
        seeds = f"{len(done)}" if len(done) == len(of_row) else f"{len(done)} of {len(of_row)}"
        lines.append(
            "| "
            + " | ".join(
                [shown, seeds, ", ".join(thresholds), *cells, gap, minutes, *_costs(done)[: len(costs)], reference]
            )
            + " |"
        )
    return "\n".join(lines) + "\n"


def _metric(one: Tree, protocol: str, metric: str) -> Tree | None:
    judged: Tree = next((judged for judged in one["judged"] if judged["protocol"] == protocol), {"metrics": {}})
    found: Tree | None = judged["metrics"].get(metric)
    return found


def _values(done: Sequence[Tree], metric: str) -> list[float]:
    """A metric of protocol `original` of the runs that have it."""
    rates = [_metric(one, "original", metric) for one in done]
    return [rate["value"] for rate in rates if rate is not None]


def _cell(rates: Sequence[Tree | None]) -> str:
    known = [rate for rate in rates if rate is not None]
    if not known or len(known) < len(rates):  # a mean over some of the seeds would not be comparable
        return ""
    if len(known) == 1:
        return f"{known[0]['value']:.1f} ({known[0]['low']:.1f} to {known[0]['high']:.1f})"
    values = [rate["value"] for rate in known]
    return f"{np.mean(values):.1f} ± {np.std(values, ddof=1):.1f}"


if __name__ == "__main__":
    unwind_when_terminated()
    main()

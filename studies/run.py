"""Train and judge a grid of recipes over seeds, and put a table together.

    python studies/run.py studies/grids/recipes.yaml DATA --runs runs/studies

A grid is a small YAML file: what all rows share, the rows with what each changes, and the seeds. Every row and seed is a run made with the
product's own commands, so a killed study goes on when the command is given again, and what is finished is kept. Stages with equal settings and
inputs are trained once and shared between rows. The table is written to studies/results/, and again after every run.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from wsol import RunConfig, WsolError, open_data
from wsol.config import ProtocolName, merged, resolve
from wsol.folders import MANIFEST, text_hash, write_json, write_text

HERE = Path(__file__).parent
Tree = dict[str, Any]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Row(_Strict):
    """A line of the table: values of `RunConfig` over those that all rows share, and what is judged."""

    name: str
    config: Tree = {}
    which: Literal["seg", "cam"] = "seg"
    seeds: tuple[int, ...] | None = None
    reference: float | None = None
    """GT-known Loc that a paper reports."""


class Grid(_Strict):
    """A study."""

    title: str
    seeds: tuple[int, ...]
    protocols: tuple[ProtocolName, ...] = ("original", "wsol-v2")
    common: Tree = {}
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Run:
    """A row with one of its seeds."""

    row: Row
    seed: int
    config: RunConfig
    """Resolved."""
    protocols: tuple[ProtocolName, ...]

    def folder(self, runs: Path) -> Path:
        """Other values, another folder: a changed row is made anew."""
        slug = "-".join("".join(letter if letter.isalnum() else " " for letter in self.row.name.lower()).split())
        values = text_hash(iter([self.config.model_dump_json(exclude={"seed"})]))
        return runs / f"{slug}-{values[:8]}" / f"seed-{self.seed}"

    def result(self, runs: Path) -> Path:
        """Where `wsol evaluate` writes what is judged of it."""
        return self.folder(runs) / f"{self.row.which}.json"


def read_grid(path: Path) -> tuple[str, list[Run]]:
    """A study's title and all its runs, its rows in order, seed by seed.

    Raises:
        WsolError: a misspelt or unknown name, a value that does not fit or has no word, or two rows of one name.
    """
    try:
        grid = Grid.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
        runs = [
            Run(row, seed, _config(merged(grid.common, row.config) | {"seed": seed}, row.name), grid.protocols)
            for row in grid.rows
            for seed in row.seeds or grid.seeds
        ]
    except (ValidationError, yaml.YAMLError, OSError) as error:
        raise WsolError(
            f"{path} is no grid ({error}): expected title, seeds, common and rows as in studies/grids."
        ) from None
    twice = [name for name, count in Counter((run.row.name, run.seed) for run in runs).items() if count > 1]
    if twice:
        raise WsolError(
            f"{path} has row {twice[0][0]!r} with seed {twice[0][1]} twice: expected each once, since the table averages what has one name. Rename one of them."
        )
    return grid.title, runs


def _config(values: Tree, name: str) -> RunConfig:
    config = resolve(RunConfig.model_validate(values))
    if resolve(RunConfig.model_validate(config.model_dump(exclude_none=True))) != config:
        raise WsolError(
            f"row {name!r} sets a value of its recipe to null: expected a value, since the command line has no word for none. Start from another recipe."
        )
    return config


def options(values: Tree, lead: str = "--") -> Iterator[str]:
    """A configuration as words of the command line. None has no word: it is what a recipe says of the values that may be None."""
    for name, value in values.items():
        word = f"{lead}{name.replace('_', '-')}"
        if isinstance(value, dict):
            yield from options(value, f"{word}.")
        elif isinstance(value, bool):
            yield word if value else f"{lead}no-{name.replace('_', '-')}"
        elif value is not None:
            yield from (word, str(value))


COMMANDS = {"cam": "train-cam", "pseudo": "make-pseudo", "seg": "train-seg", "classifier": "train-classifier"}
SHARED = {
    "cam": ("backbone", "weights", "seed", "precision", "cam"),
    "pseudo": ("backbone", "weights", "seed", "precision", "cam", "pseudo"),
    "classifier": ("backbone", "weights", "classifier", "classifier_weights", "seed", "precision", "classify"),
}
"""The stages that rows may have in common, and what each depends on."""


def make(run: Run, data: Path, images: Path | None, runs: Path) -> None:
    """The stages that are missing, and the judgement."""
    folder, given = run.folder(runs), ["--images", str(images)] if images else []
    chosen = [*given, *options(run.config.model_dump(mode="json"))]
    if run.config.method != "spol":
        _wsol("fit", str(data), "--run", str(folder), *chosen)
    for stage, command in COMMANDS.items():
        if run.config.method != "spol" or (run.row.which == "cam" and stage != "cam"):
            break
        shared = _shared(run.config, stage, runs)
        if shared is not None and (shared / MANIFEST).exists() and not (folder / stage).exists():
            _link(shared, folder / stage)
        # Also of a stage that is there: the command sees whether it is finished, and the run remembers its configuration.
        _wsol(command, str(data), "--run", str(folder), *chosen)
        if shared is not None and (folder / stage / MANIFEST).exists() and not shared.exists():
            _link(folder / stage, shared)
    _wsol(
        "evaluate", str(folder), str(data), *given, "--which", run.row.which, "--protocol", ",".join(run.protocols),
        "--json", str(run.result(runs)),
    )  # fmt: skip


def _shared(config: RunConfig, stage: str, runs: Path) -> Path | None:
    """Where a stage lies for other rows with the same values."""
    if stage not in SHARED:
        return None
    values = config.model_dump(mode="json")
    key = text_hash(iter([json.dumps([values[name] for name in SHARED[stage]], sort_keys=True)]))
    return runs / "shared" / f"{stage}-{key[:12]}"


def _link(source: Path, target: Path) -> None:
    """The same files under another name, without taking room twice."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.linked")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        shutil.copytree(source, partial, copy_function=os.link)
    except (OSError, shutil.Error):  # not every disk has hard links
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(source, partial)
    partial.rename(target)


def _wsol(*words: str) -> None:
    code = subprocess.run([sys.executable, "-m", "wsol", *words]).returncode
    if code:
        raise WsolError(
            f"`wsol {' '.join(words[:2])}` ended with {code}: expected 0. Its own words are above; the same command goes on."
        )


def training_minutes(folder: Path) -> float:
    """What a user waits for the stages of a run, those of earlier rounds with them, whoever trained them first."""
    manifests = [*folder.glob(f"*/{MANIFEST}")]
    return sum(float(json.loads(path.read_text())["figures"]["seconds"]) for path in manifests) / 60


def main() -> None:
    """Make every run that is missing, and the table after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("grid", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--images", type=Path, help="where the pictures are, if not in the data set's usual place")
    parser.add_argument("--runs", type=Path, default=Path("runs/studies"))
    parser.add_argument("--only", action="append", help="only the row of this name; may be repeated")
    parser.add_argument("--finished", action="store_true", help="train nothing: the table of what is there")
    parser.add_argument("--list", action="store_true", help="the runs and which are finished, and stop")
    parser.add_argument(
        "--out", type=Path, help="the table; studies/results/<grid>.md by default, the numbers in a .json beside it"
    )
    given = parser.parse_args()
    try:
        (title, everything), data = read_grid(given.grid), open_data(given.data, given.images)
        _check_names(given.only or [], everything)
        described = data.describe().replace(f" {data.root}", "")
        runs = given.runs / data.training_hash()[:8]  # so that one folder serves studies of several data sets
        out = given.out or HERE / "results" / f"{given.grid.stem}.md"
        if given.list:
            for run in everything:
                print(
                    f"{'finished' if run.result(runs).exists() else 'missing':8} {run.row.name}, seed {run.seed}: {run.folder(runs)}"
                )
            return
        described = f"{title}; {described}"
        write(everything, runs, described, out)
        for run in everything:
            if not given.finished and (not given.only or run.row.name in given.only) and not run.result(runs).exists():
                print(f"# {run.row.name}, seed {run.seed}: {run.folder(runs)}", flush=True)
                make(run, given.data, given.images, runs)
                write(everything, runs, described, out)
    except WsolError as error:
        sys.exit(f"error: {error}")


def _check_names(only: Sequence[str], everything: Sequence[Run]) -> None:
    names = [*dict.fromkeys(run.row.name for run in everything)]
    for name in only:
        if name not in names:
            raise WsolError(f"no row {name!r}: expected one of {', '.join(names)}. Name one of them after --only.")


def write(everything: Sequence[Run], runs: Path, described: str, out: Path) -> None:
    """Table and numbers of what is finished."""
    found = []
    for run in everything:
        if run.result(runs).exists():
            judged = json.loads(run.result(runs).read_text())
            found.append(
                {"row": run.row.name, "seed": run.seed, "minutes": training_minutes(run.folder(runs)), "judged": judged}
            )
    out.parent.mkdir(parents=True, exist_ok=True)
    write_json(out.with_suffix(".json"), found)
    write_text(out, table(everything, found, described))


COLUMNS = {
    "GT-known at its threshold": ("original", "gt_known"),
    "at the best": ("original", "gt_known_best_threshold"),
    "MaxBoxAccV2": ("wsol-v2", "max_box_acc_v2"),
    "mean box IoU": ("original", "mean_box_iou"),
    "AUC of the score": ("original", "score_auc"),
}


def table(everything: Sequence[Run], found: Sequence[Tree], described: str) -> str:
    """Markdown: mean and standard deviation over seeds; of a single one its own 95 % interval over pictures."""
    n = sorted({one["n"] for run in found for one in run["judged"]})
    protocols = ", ".join(f"`{name}`" for name in everything[0].protocols) if everything else "none"
    seeds_of_all = ", ".join(map(str, sorted({run.seed for run in everything})))
    lines = [
        f"Protocols {protocols}; {described}; seeds {seeds_of_all}; n = {', '.join(map(str, n)) or 'none yet'}. In percent: mean and standard deviation",
        "over seeds, or the 95 % interval over pictures where there is one seed. The best threshold is chosen with the true boxes.\n",
        "| row | seeds | threshold | "
        + " | ".join(COLUMNS)
        + " | gap to the best | minutes of training | a paper's GT-known |",
        "|---|" + "---|" * (len(COLUMNS) + 5),
    ]
    for name in dict.fromkeys(run.row.name for run in everything):
        of_row = [run for run in everything if run.row.name == name]
        done = [one for one in found if one["row"] == name]
        cells = [_cell([_metric(one, *place) for one in done]) for place in COLUMNS.values()]
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
        minutes = f"{np.mean([one['minutes'] for one in done]):.0f}" if done else ""
        reference = "" if of_row[0].row.reference is None else f"{of_row[0].row.reference:.1f}"
        seeds = f"{len(done)}" if len(done) == len(of_row) else f"{len(done)} of {len(of_row)}"
        lines.append(f"| {' | '.join([name, seeds, ', '.join(thresholds), *cells, gap, minutes, reference])} |")
    return "\n".join(lines) + "\n"


def _metric(one: Tree, protocol: str, metric: str) -> Tree | None:
    judged: Tree = next((judged for judged in one["judged"] if judged["protocol"] == protocol), {"metrics": {}})
    found: Tree | None = judged["metrics"].get(metric)
    return found


def _values(done: Sequence[Tree], metric: str) -> list[float]:
    """A metric of protocol `original`, of the runs that have it."""
    rates = [_metric(one, "original", metric) for one in done]
    return [rate["value"] for rate in rates if rate is not None]


def _cell(rates: Sequence[Tree | None]) -> str:
    known = [rate for rate in rates if rate is not None]
    if not known or len(known) < len(rates):  # a mean over some of the seeds would be of another thing
        return ""
    if len(known) == 1:
        return f"{known[0]['value']:.1f} ({known[0]['low']:.1f} to {known[0]['high']:.1f})"
    values = [rate["value"] for rate in known]
    return f"{np.mean(values):.1f} ± {np.std(values, ddof=1):.1f}"


if __name__ == "__main__":
    main()

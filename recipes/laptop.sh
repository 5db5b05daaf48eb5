#!/usr/bin/env bash
# Your own class folders on a laptop, offline.
set -euo pipefail
DATA=${1:?folder of class folders}
wsol fit "$DATA" --run runs/mine
wsol predict runs/mine "$DATA" --out runs/mine-boxes
wsol export runs/mine-boxes --format coco --out runs/mine-coco
wsol export runs/mine-boxes --format yolo --out runs/mine-yolo

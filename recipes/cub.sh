#!/usr/bin/env bash
# SPOL on CUB-200-2011 as the paper trains it. Needs a GPU and timm's hub (ResNet50, DenseNet161). Not measured here.
set -euo pipefail
DATA=${1:?folder CUB_200_2011}
wsol fit "$DATA" --run runs/cub-paper --recipe paper
wsol evaluate runs/cub-paper "$DATA" --json runs/cub-paper/metrics.json

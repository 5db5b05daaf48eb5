#!/usr/bin/env bash
# SPOL on CUB-200-2011 as the published code trains it. Needs a GPU and timm's hub (ResNet50, EfficientNet-B7). Not measured here.
set -euo pipefail
DATA=${1:?folder CUB_200_2011}
wsol fit "$DATA" --run runs/cub-released --recipe released
wsol evaluate runs/cub-released "$DATA" --json runs/cub-released/metrics.json

#!/usr/bin/env bash
# Every row of Table 1 of SPOL (Wei et al. 2021) on CUB-200-2011, with its own backbone. Needs a GPU and timm's hub (or `--weights`). Not measured here.
#
# A number is in percent: Top-1 Loc, Top-5 Loc, GT-known Loc. Sources:
#   [T1] Table 1 of Wei et al. 2021. It quotes the other systems' papers, each with its own evaluation; `original` is the nearest protocol.
#        SPOL's own two rows: `spol`.
#   [P]  table "WSOL Benchmark Results" of PSOL (Zhang et al. 2020), on poster.png of github.com/tzzcl/PSOL.
#   [A]  tables of github.com/gyguo/awesome-weakly-supervised-object-localization (README.md), which quote the papers.
#   [E]  main table of clovaai/wsolevaluation (main_table.png), protocol `wsol-v2`: other hyperparameters, trained by Choe et al. 2020.
# Rates, epochs and sizes are those of the systems' published codes unless a row says otherwise.
#
# Differences that remain in all rows: rates are constant or decay linearly (published: constant or in steps), those of biases equal those of weights
# (published codes of ACoL, SPG, I2C, GC-Net: twice), whole images are predicted (published: mostly a centre crop of 224 of 256), and images are
# resized without keeping their aspect ratio (ACoL, SPG, I2C: the shorter side). VGG-GAP of the papers has a new 3 x 3 convolution with
# 1024 channels before the pooling, ours has none. timm has no stride below 16 for VGG16 (features.29, before the last pooling) and
# Inception (Mixed_6e), where ACoL, SPG and I2C have 8: their maps are 28 x 28, ours are 16 x 16 or 14 x 14.
set -euo pipefail
DATA=${1:?folder CUB_200_2011}

# The anchor: DDT, VGG16, no training. GT-known 84.55 [T1], protocol `original`. As in github.com/tzzcl/PSOL: torchvision's weights, features after
# pool5 (stride 32, 14 x 14 for 448 pixels), a component per class, threshold 0, largest component. Differs: the map is upsampled bilinearly, the
# component chosen on the upsampled map (published: on the 14 x 14 map, nearest neighbour). Components are those of the training images and their
# labels; of which images in the publication: not found. Top-1, Top-5: 62.30, 78.15 [T1, P]; `--classifier same` adds a classifier (its published
# training: not found).
wsol fit "$DATA" --run runs/cub/ddt-vgg16 --method ddt --backbone vgg16.tv_in1k --training.resize-px 448 --training.crop-px 448 --training.output-stride 32 --ddt.images class
wsol evaluate runs/cub/ddt-vgg16 "$DATA" --protocol original,wsol-v1,wsol-v2 --json runs/cub/ddt-vgg16/metrics.json

# CAM, VGG-GAP. 36.13, -, - [T1, P]; in [A] 44.2, 52.2, 56.0. MaxBoxAccV2 63.7 [E], protocol `wsol-v2`. Rates, epochs and batch of the run that gives
# [E] (issue 60 of clovaai/wsolevaluation; it decays x 0.1 every 15 epochs); of the others: not found.
wsol fit "$DATA" --run runs/cub/cam-vgg16 --method cam --backbone vgg16.tv_in1k --training.feature features.29 --training.output-stride 16 --training.epochs 50 --training.batch-size 32 --training.lr-backbone 1.268269e-5 --training.lr-new 1.268269e-4 --training.weight-decay 5e-4 --training.rates linear --training.freeze 0 --training.batch-norm live
wsol evaluate runs/cub/cam-vgg16 "$DATA" --protocol original,wsol-v1,wsol-v2 --json runs/cub/cam-vgg16/metrics.json

# ACoL, VGG-GAP. 45.92, 56.51, 62.96 [T1]. 62.96 is ImageNet's value in [T1, P], so doubtful for CUB; "VGG16-ACoL + CAM" has GT-known 59.30 on CUB
# ([P], table "Transferability"). MaxBoxAccV2 57.4 [E], protocol `wsol-v2`.
wsol fit "$DATA" --run runs/cub/acol-vgg16 --method acol --backbone vgg16.tv_in1k --training.feature features.29 --training.output-stride 16 --training.epochs 60 --training.batch-size 20 --training.lr-backbone 1e-4 --training.lr-new 1e-3 --training.weight-decay 5e-4 --training.freeze 0 --training.batch-norm live
wsol evaluate runs/cub/acol-vgg16 "$DATA" --protocol original,wsol-v1,wsol-v2 --json runs/cub/acol-vgg16/metrics.json

# ADL, VGG-GAP. 52.36, -, 73.96 [T1]; GT-known 75.4 in [A]. MaxBoxAccV2 66.3 [E], protocol `wsol-v2`. The base rate of VGG: not found; 0.01 is the
# default of config.py, pretrained layers have 0.1 times it. Published: x 0.1 after 30, 60, 90, 100 of 105 thousand steps. Positions:
# conv4_3 and conv5_3 (wsolevaluation: also pool3).
wsol fit "$DATA" --run runs/cub/adl-vgg16 --method adl --backbone vgg16.tv_in1k --training.feature features.29 --training.output-stride 16 --training.steps 105000 --training.batch-size 32 --training.lr-backbone 0.001 --training.lr-new 0.01 --training.weight-decay 5e-4 --training.rates linear --training.freeze 0 --training.batch-norm live
wsol evaluate runs/cub/adl-vgg16 "$DATA" --protocol original,wsol-v1,wsol-v2 --json runs/cub/adl-vgg16/metrics.json

# SPG, InceptionV3. 46.64, 57.72, - [T1, P]. MaxBoxAccV2 55.9 [E], protocol `wsol-v2`. Training on CUB: not found. Rates, batch and sizes as on
# ImageNet, 60 epochs as ACoL by the same authors. Differs: B2 reads Mixed_6e (published: Mixed_6d).
wsol fit "$DATA" --run runs/cub/spg-inceptionv3 --method spg --backbone inception_v3.tv_in1k --training.feature Mixed_6e --training.output-stride 16 --training.epochs 60 --training.batch-size 20 --training.lr-backbone 0.001 --training.lr-new 0.001 --training.weight-decay 5e-4 --training.resize-px 356 --training.crop-px 321 --training.freeze 0 --training.batch-norm live
wsol evaluate runs/cub/spg-inceptionv3 "$DATA" --protocol original,wsol-v1,wsol-v2 --json runs/cub/spg-inceptionv3/metrics.json

# ADL, ResNet50-SE. 62.29, -, 71.99 [T1] (Top-1 also [P]). Other weights than Tensorpack's: seresnet50.ra2_in1k, because timm's legacy_seresnet50 has
# stride 32 only. Published: x 0.1 after 30, 60, 90, 100 of 105 thousand steps; layer4 has the rate of the new layers; ADLs after layer3, in and after
# layer4 (ours: after layer2, layer3, layer4).
wsol fit "$DATA" --run runs/cub/adl-seresnet50 --method adl --backbone seresnet50.ra2_in1k --training.output-stride 16 --training.steps 105000 --training.batch-size 32 --training.lr-backbone 0.01 --training.lr-new 0.1 --training.rates linear --training.freeze 0 --training.batch-norm live
wsol evaluate runs/cub/adl-seresnet50 "$DATA" --protocol original,wsol-v1,wsol-v2 --json runs/cub/adl-seresnet50/metrics.json

# ADL-TAP, GoogLeNet: 53.04, -, 69.95 [T1]. Not possible: timm has no GoogLeNet, and our `tap` has no ADL. (In [P] 53.04 is ADL with InceptionV3.) The
# nearest: TAP with negative weight clamping and percentiles on VGG16, as in github.com/won-bae/rethinkingCAM (x 0.1 after 60, 120 and 180 of 200
# epochs). Its number: not found.
wsol fit "$DATA" --run runs/cub/tap-vgg16 --method tap --backbone vgg16.tv_in1k --training.feature features.29 --training.output-stride 16 --training.epochs 200 --training.batch-size 40 --training.lr-backbone 3e-4 --training.lr-new 0.003 --training.weight-decay 5e-4 --training.rates linear --training.freeze 0 --training.batch-norm live
wsol evaluate runs/cub/tap-vgg16 "$DATA" --protocol original,wsol-v1,wsol-v2 --json runs/cub/tap-vgg16/metrics.json

# I2C, InceptionV3. 65.99, 68.34, 72.60 [T1]; Top-1 is 56.0 in [A], and 65.99 does not fit a Top-5 of 68.34. Training on CUB: not found, lambda_2
# apart. As on ImageNet, 60 epochs as ACoL by the same authors. Published: the training starts from a classifier without I2C, trained before.
wsol fit "$DATA" --run runs/cub/i2c-inceptionv3 --method i2c --backbone inception_v3.tv_in1k --training.feature Mixed_6e --training.output-stride 16 --i2c.lambda-2 0.003 --training.epochs 60 --training.batch-size 80 --training.lr-backbone 0.001 --training.lr-new 0.01 --training.weight-decay 5e-4 --training.rates linear --training.freeze 0 --training.batch-norm live
wsol evaluate runs/cub/i2c-inceptionv3 "$DATA" --protocol original,wsol-v1,wsol-v2 --json runs/cub/i2c-inceptionv3/metrics.json

# GC-Net, GoogLeNet: 58.58, 71.10, 75.30 [T1]. timm has no GoogLeNet, so VGG16, which the paper uses too: 63.2, 75.5, 81.1 [A]. Published: detector
# and classifier keep the pretrained fc6 and fc7; the classifier is trained apart (SGD, 200 epochs, also on families and orders) and stays in training
# mode. Differs: 512 units instead of 4096 in the detector (4096 x 49 inputs x 4096 units would be 822 million weights), fixed steepness of the mask.
wsol fit "$DATA" --run runs/cub/gcnet-vgg16 --method gcnet --backbone vgg16.tv_in1k --training.output-stride 32 --gcnet.width 512 --gcnet.p-hide 0 --training.epochs 30 --training.batch-size 32 --training.optimizer adam --training.lr-backbone 1e-4 --training.lr-new 1e-3 --training.weight-decay 0 --training.rates linear --training.freeze 0 --training.batch-norm live
wsol evaluate runs/cub/gcnet-vgg16 "$DATA" --protocol original,wsol-v1,wsol-v2 --json runs/cub/gcnet-vgg16/metrics.json

# PSOL, InceptionV3, InceptionV3 as classifier. 65.51, 83.44, - [T1, P], protocol `original`. Published: boxes of DDT with VGG16 at 448 pixels (ours:
# of the run's own backbone and size), no Nesterov momentum. Training on CUB: not
# found in the authors' code. As CVI-SZU/CCAM (WSOL/PSOL/training_CUB.py) trains this network, second-hand: 100 epochs, batch 64, cosine. The
# classifier's training: not found; that of SPOL's published code. Crops of 299 pixels: inferred from the 5.71 billion operations a network in [P];
# the size before the crop: not found. DDT's map here: 8 x 8, timm's stride 32.
wsol fit "$DATA" --run runs/cub/psol-inceptionv3 --method psol --backbone inception_v3.tv_in1k --training.output-stride 32 --training.resize-px 320 --training.crop-px 299 --classify.resize-px 320 --classify.crop-px 299 --training.epochs 100 --training.batch-size 64 --training.lr-backbone 0.002 --training.lr-new 0.004 --training.rates linear --classifier same --classify.epochs 20 --classify.batch-size 16 --classify.lr-backbone 0.005 --classify.lr-new 0.05 --classify.rates linear --training.freeze 0 --training.batch-norm live --psol.grid 1 --psol.zoom 0.2
wsol evaluate runs/cub/psol-inceptionv3 "$DATA" --protocol original,wsol-v1,wsol-v2 --json runs/cub/psol-inceptionv3/metrics.json

# PSOL, ResNet50, ResNet50 as classifier. 70.68, 86.64, 90.00 [T1] (Top-1, Top-5 also [P]). Differences as in the row above; stride 16 by dilation
# (published: 32), so that DDT's map has 16 x 16 positions.
wsol fit "$DATA" --run runs/cub/psol-resnet50 --method psol --backbone resnet50.tv_in1k --training.output-stride 16 --training.epochs 100 --training.batch-size 64 --training.lr-backbone 0.002 --training.lr-new 0.004 --training.rates linear --classifier same --classify.epochs 20 --classify.batch-size 16 --classify.lr-backbone 0.005 --classify.lr-new 0.05 --classify.rates linear --training.freeze 0 --training.batch-norm live --psol.grid 1 --psol.zoom 0.2
wsol evaluate runs/cub/psol-resnet50 "$DATA" --protocol original,wsol-v1,wsol-v2 --json runs/cub/psol-resnet50/metrics.json

# PSOL, DenseNet161, DenseNet161 as classifier. 74.97, 89.12, 93.01 [T1] (Top-1, Top-5 also [P]). Differences as above; DDT's map: 8 x 8, timm's
# stride 32.
wsol fit "$DATA" --run runs/cub/psol-densenet161 --method psol --backbone densenet161.tv_in1k --training.output-stride 32 --training.epochs 100 --training.batch-size 64 --training.lr-backbone 0.002 --training.lr-new 0.004 --training.rates linear --classifier same --classify.epochs 20 --classify.batch-size 16 --classify.lr-backbone 0.005 --classify.lr-new 0.05 --classify.rates linear --training.freeze 0 --training.batch-norm live --psol.grid 1 --psol.zoom 0.2
wsol evaluate runs/cub/psol-densenet161 "$DATA" --protocol original,wsol-v1,wsol-v2 --json runs/cub/psol-densenet161/metrics.json

# PSOL, DenseNet161, EfficientNet-B7 as classifier. 77.44, 89.51, 93.01 [T1]. Differences as above; the same boxes as in the row above.
wsol fit "$DATA" --run runs/cub/psol-densenet161-b7 --method psol --backbone densenet161.tv_in1k --training.output-stride 32 --training.epochs 100 --training.batch-size 64 --training.lr-backbone 0.002 --training.lr-new 0.004 --training.rates linear --classifier tf_efficientnet_b7.aa_in1k --classify.resize-px 685 --classify.crop-px 600 --classify.epochs 20 --classify.batch-size 16 --classify.lr-backbone 0.005 --classify.lr-new 0.05 --classify.rates linear --training.freeze 0 --training.batch-norm live --psol.grid 1 --psol.zoom 0.2
wsol evaluate runs/cub/psol-densenet161-b7 "$DATA" --protocol original,wsol-v1,wsol-v2 --json runs/cub/psol-densenet161-b7/metrics.json

# SPOL, ResNet50, DenseNet161 as classifier. 79.74, 93.69, 96.46 [T1], protocol `spol`. The paper's text; batch sizes, which it does not state, are
# those of the published code.
wsol fit "$DATA" --run runs/cub/spol-densenet161 --recipe paper
wsol evaluate runs/cub/spol-densenet161 "$DATA" --protocol original,spol,wsol-v1,wsol-v2 --json runs/cub/spol-densenet161/metrics.json

# SPOL, ResNet50, EfficientNet-B7 as classifier. 80.12, 93.44, 96.46 [T1], protocol `spol`. The published code, which trains EfficientNet-B7 and
# differs from the text in a dozen values.
wsol fit "$DATA" --run runs/cub/spol-b7 --recipe released
wsol evaluate runs/cub/spol-b7 "$DATA" --protocol original,spol,wsol-v1,wsol-v2 --json runs/cub/spol-b7/metrics.json

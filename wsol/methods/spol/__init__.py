"""Wei et al. 2021 (SPOL), in the order of its figure: class maps, pseudo masks, segmentation."""

"""SPOL (Wei et al. 2021), in the order of its figure: class maps, pseudo masks, segmentation."""

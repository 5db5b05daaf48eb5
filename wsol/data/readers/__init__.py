"""One file for each kind of data set, as it is published."""

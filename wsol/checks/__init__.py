"""`wsol check`: the problems of a data set, as findings, a table and a page."""

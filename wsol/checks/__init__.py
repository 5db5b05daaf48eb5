"""`wsol check`: what is wrong with a data set, as findings, a table and a page."""

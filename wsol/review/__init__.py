"""`wsol review`: a page on this machine to go through predictions, and the journal of what was decided."""

"""`wsol review`: a local web page to review predictions, and the journal of the decisions."""

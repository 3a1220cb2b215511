"""One page of a run, with the paper's figures."""

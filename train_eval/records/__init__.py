"""Everything on disk: stores, run directories, summaries of runs, published results."""

"""Training, data, the store, the search loop and the command line."""

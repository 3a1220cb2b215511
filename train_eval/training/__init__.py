"""Training: from an architecture to its evaluation."""

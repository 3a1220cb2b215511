"""Searches: an agent on an environment becomes a recorded run."""

"""Output for people: the terminal, progress and figures."""

"""What a network is worth: evaluations, rewards, objectives, tables of results."""

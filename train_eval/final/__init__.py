"""From a search's best networks to trained files, tested once."""

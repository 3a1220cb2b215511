"""The command ``cnnarch``."""

"""Data sets: from a name to arrays of images and labels."""

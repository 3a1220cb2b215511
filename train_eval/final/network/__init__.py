"""A trained network as a file: weights and card, its answers on pictures, and its exports."""

"""Comparing agents on equal budgets."""

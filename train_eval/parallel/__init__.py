"""Tasks to processes: in this process, in local workers, on a Ray cluster."""

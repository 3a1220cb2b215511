"""What people see: the terminal, progress and figures."""

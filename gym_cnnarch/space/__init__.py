"""Which networks there are: layers, rules, limits, their number, and how to draw one."""

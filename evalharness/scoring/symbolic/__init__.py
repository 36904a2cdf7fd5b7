"""Whether two formulas say the same: computer algebra in worker processes, and the string rules of two harnesses."""

"""Where pictures and texts come from: sources, checks, splits, the table of pairs."""

"""What only the `download` stage runs: sources, fetching, checks, near-duplicates, splits."""

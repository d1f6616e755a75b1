"""What a run is worth: one module a family of measures, each a plain function of arrays."""

"""What a run is worth: one module per family of measures, each a function that yields figures."""

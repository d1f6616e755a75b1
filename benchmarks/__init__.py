"""What the speed claims of the documentation run: `python -m benchmarks.sampling` and so on."""

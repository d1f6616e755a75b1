"""What the speed claims of the documentation run: `python -m benchmarks.sampling` and so on."""

import pipeline  # noqa: F401  what mends torchvision comes before anything imports it

"""`codebrush doctor`: what this machine has, what a run will take here, and what would fail."""

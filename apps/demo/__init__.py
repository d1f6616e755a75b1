"""`codebrush demo`: a page to play with, on this machine. Its extra is `demo` in pyproject.toml."""

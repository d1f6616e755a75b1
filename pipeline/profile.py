"""`python -m pipeline.profile NAME`: a door to `apps.profile`, where the command lives."""

import sys

if __name__ == "__main__":
    from apps.profile import main

    sys.exit(main(sys.argv[1:]))

#!/usr/bin/env python
"""Run Gatewatch's commands."""

import sys

if __name__ == "__main__":
    try:
        from dashboard.management.edge import main
    except ModuleNotFoundError as error:
        sys.stderr.write(
            f"{error.name} is not installed here; run .venv/bin/python manage.py, after "
            ".venv/bin/pip install -r requirements.txt.\n"
        )
        sys.exit(2)
    main(sys.argv)

"""Figures against their floors, measured in one run: `make bench`, `make bench-one NAME=…`. Imported by nobody."""

"""Simulations to run and to read: `python -m acteon.simulation run redis`.

Each tells what it does, insists on what comes of it, and ends with status 1 if anything else does.
"""

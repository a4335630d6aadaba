"""The servers that the backends need, each the real one, on 127.0.0.1 and without Docker.

A test takes a fresh server as a context manager, `with redis.running() as server:`, and people get
the same servers with `nox -s servers -- redis postgres`. A program that is missing is installed
with apt. Works on Linux; elsewhere there is docker-compose.yml.
"""

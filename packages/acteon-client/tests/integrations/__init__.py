"""A package, as its `conftest` is another one than that above it."""

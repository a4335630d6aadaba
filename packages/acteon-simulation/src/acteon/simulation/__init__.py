"""Proves rules before production: gateways in tests, providers that record and fail, faults."""

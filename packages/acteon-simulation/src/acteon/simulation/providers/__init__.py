"""Providers for tests: one that keeps what it was called with, and one that fails."""

from acteon.simulation.providers.captured import CapturedCall
from acteon.simulation.providers.failing import FailingProvider
from acteon.simulation.providers.failures import FailureMode
from acteon.simulation.providers.recording import RecordingProvider

__all__ = ["CapturedCall", "FailingProvider", "FailureMode", "RecordingProvider"]

"""Mails of Django become actions: set `EMAIL_BACKEND = "acteon.client.django.EmailBackend"`."""

from acteon.client.django.backend import EmailBackend
from acteon.client.django.errors import EmailNotSentError

__all__ = ["EmailBackend", "EmailNotSentError"]

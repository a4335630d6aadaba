"""The email provider: hands mails to an SMTP server."""

from acteon.email.config import EmailConfig
from acteon.email.provider import EmailPlugin, EmailProvider

__all__ = ["EmailConfig", "EmailPlugin", "EmailProvider"]

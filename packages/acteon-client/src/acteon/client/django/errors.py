"""What the email backend raises."""

from smtplib import SMTPException

from acteon.core import ActeonError


class EmailNotSentError(ActeonError, SMTPException):
    """Mails were not sent; programs that catch the errors of SMTP catch this one, too.

    Attributes:
        sent: How many of the same call were sent.
        failures: The subject of each mail that was not, and why.
    """

    code = "EMAIL_NOT_SENT"

    def __init__(self, sent: int, failures: tuple[tuple[str, str], ...]) -> None:
        super().__init__(sent, failures)
        self.sent = sent
        self.failures = failures

    def __str__(self) -> str:
        subject, why = self.failures[0]
        others = len(self.failures) - 1
        more = f" (and {others} more)" if others else ""
        return f"mail {subject!r} was not sent: {why}{more}"

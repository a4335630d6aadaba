"""What replies mean."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acteon.email.replies import Reader, Reply
from acteon.provider import ExecutionFailedError, ProviderConnectionError, RateLimitedError


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (421, "4.7.0 mx.example Error: too many connections from 192.0.2.1"),
        (421, "Too many concurrent SMTP connections; please try again later."),
        (450, "4.2.1 The user you are trying to contact is receiving mail at a rate that prevents"),
        (450, "4.2.1 ... is receiving mail too quickly. Please resend your message later"),
        (421, "4.7.28 Gmail has detected an unusual rate of unsolicited mail"),
        (454, "Throttling failure: Maximum sending rate exceeded."),
        (454, "Throttling failure: Daily message quota exceeded."),
        (450, "4.7.1 Error: too much mail from 192.0.2.1"),
        (451, "4.7.500 Server busy: rate limited"),
        (452, "4.3.1 hourly sending limit reached"),
    ],
)
def test_words_about_the_rate_are_understood(code: int, text: str) -> None:
    assert type(Reply(code, text).as_error()) is RateLimitedError


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (421, "4.3.2 shutting down"),
        (450, "4.7.1 <a@b>: Recipient address rejected: Greylisted, see http://postgrey"),
        (451, "4.3.0 temporary failure, generate a new one"),
        (452, "4.5.3 Too many recipients"),
        (452, "4.2.2 mailbox over quota"),
        (421, "4.7.0 Error: too many errors"),
    ],
)
def test_other_transient_replies_are_not_about_the_rate(code: int, text: str) -> None:
    error = Reply(code, text).as_error()
    assert type(error) is ProviderConnectionError
    assert str(error) == f"connection error: transient SMTP error: {code} {text}"


@pytest.mark.parametrize("code", [500, 530, 535, 550, 552, 554, 599])
def test_permanent_replies_stay_so_whatever_they_say(code: int) -> None:
    assert type(Reply(code, "too many messages").as_error()) is ExecutionFailedError


@pytest.mark.parametrize("code", [0, 100, 250, 354, 600, 999])
def test_a_reply_that_makes_no_sense_is_a_broken_connection(code: int) -> None:
    error = Reply(code, "x").as_error()
    assert str(error) == f"connection error: SMTP error: unexpected reply: {code} x"


@given(st.text(st.characters()), st.text(st.characters(), min_size=1))
def test_a_text_is_one_short_line_without_secrets(text: str, secret: str) -> None:
    reply = Reader((secret,)).read(550, f"{text}{secret}\r\n{text}" + "long " * 50)
    assert len(reply.text) <= 160
    assert reply.text.encode()
    assert "\n" not in reply.text
    if secret.strip("* ") and not secret.isspace():
        assert secret not in reply.text.replace("***", "")

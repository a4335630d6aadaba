"""What the page shows of the log handler; all else of it is tested with the client."""

from collections.abc import Callable


def test_the_page_does_what_it_shows(type_section: Callable[[str], None]) -> None:
    type_section("Logging")

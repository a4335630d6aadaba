"""What operators may write, and what they are told if it is something else."""

import pytest

from acteon.state_dynamodb import DynamoDBStateConfig


def test_nothing_needs_to_be_configured() -> None:
    config = DynamoDBStateConfig()
    assert (config.region, config.table_name, config.prefix) == (
        "us-east-1",
        "acteon",
        "acteon",
    )
    assert not config.creates


def test_a_table_is_made_where_there_is_a_url_unless_told_otherwise() -> None:
    assert DynamoDBStateConfig(url="http://localhost:8000").creates
    assert not DynamoDBStateConfig(url="http://localhost:8000", create_table=False).creates
    assert DynamoDBStateConfig(create_table=True).creates


@pytest.mark.parametrize(
    "url",
    ["http://localhost:8000", "http://[::1]:8000/", "https://vpce-1.dynamodb.eu-west-1.example"],
)
def test_urls_of_servers_are_taken(url: str) -> None:
    assert DynamoDBStateConfig(url=url).url == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:8000",
        "http://",
        "ftp://localhost",
        "http://a:99999",
        "http://a/path",
        "http://a?b=c",
        "http://[::1",
    ],
)
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="'url' must be a URL such as http://localhost:8000"):
        DynamoDBStateConfig(url=url)


def test_credentials_in_the_url_are_refused_and_not_shown() -> None:
    with pytest.raises(ValueError, match="without credentials") as error:
        DynamoDBStateConfig(url="http://user:hunter2@localhost:8000")
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("table_name", "ab", "3 to 255"),
        ("table_name", "a b c", "letters, digits"),
        ("prefix", "", "at most 64"),
        ("prefix", "a:b", "at most 64 letters"),
        ("region", "Europe/Berlin", "a region such as eu-central-1"),
        ("pool_size", 0, "'pool_size' must be >= 1"),
        ("connect_timeout_seconds", 0.0, "above 0 and at most 3600 seconds: 0"),
        ("command_timeout_seconds", float("nan"), "above 0 and at most 3600 seconds: nan"),
    ],
)
def test_values_that_cannot_be_are_refused(key: str, value: object, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        DynamoDBStateConfig(**{key: value})  # type: ignore[arg-type]

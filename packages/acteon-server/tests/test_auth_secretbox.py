"""Encrypted values, and the key they are encrypted with."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acteon.core import ConfigError
from acteon.provider.webhook import WebhookConfig
from acteon.server import parse_config
from acteon.server.auth.secretbox import (
    SecretBoxError,
    decrypt,
    encrypt,
    is_encrypted,
    master_key,
)

HEX = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
BASE64 = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
KEY = bytes(range(32))
DATA, IV, TAG = "kn0PWWihdctPFuKwdR+0", "oKGio6Slpqeoqaqr", "BLeraZHPj4+TJyWzHB1Iow=="
VALUE = f"ENC[AES256-GCM,data:{DATA},iv:{IV},tag:{TAG}]"
KEYS = st.binary(min_size=32, max_size=32)


@pytest.mark.parametrize("text", [HEX, HEX.upper(), BASE64, f"  {HEX}\n", f"\t{BASE64} "])
def test_the_master_key_is_in_hex_digits_or_base64(text: str) -> None:
    assert master_key({"ACTEON_AUTH_KEY": text}, needed="") == KEY


@pytest.mark.parametrize(
    "text",
    [
        "secret",
        HEX[:-1],
        HEX[:-1] + "g",
        HEX + "00",
        BASE64[:-1],
        BASE64 * 2,
        "A" * 64 + "é",
        "_-8=",
    ],
)
def test_another_master_key_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        master_key({"ACTEON_AUTH_KEY": text}, needed="")

    told = str(refused.value)
    assert told.startswith(
        "invalid ACTEON_AUTH_KEY: ACTEON_AUTH_KEY must be 32 bytes encoded as 64 hex chars or "
        "base64; "
    )
    assert text not in told


@pytest.mark.parametrize("environ", [{}, {"ACTEON_AUTH_KEY": ""}, {"ACTEON_AUTH_KEY": " "}])
def test_it_is_told_what_a_missing_master_key_is_for(environ: dict[str, str]) -> None:
    with pytest.raises(
        ConfigError,
        match=r"^ACTEON_AUTH_KEY environment variable is required when auth is enabled; openssl",
    ):
        master_key(environ, needed="when auth is enabled")


@pytest.mark.parametrize(
    "value",
    [
        VALUE,
        f" {VALUE}\n",
        f"ENC[AES256-GCM,tag:{TAG},data:{DATA},iv:{IV}]",
        f"ENC[AES256-GCM, data:{DATA} ,\tiv:{IV}, tag:{TAG} ]",
        f"ENC[AES256-GCM,type:str,data:{DATA},iv:{IV},tag:{TAG},]",
    ],
)
def test_a_value_is_decrypted_whatever_the_order_of_its_parts(value: str) -> None:
    assert is_encrypted(value)
    assert decrypt(value, KEY) == "test-jwt-secret"


SHORT = base64.b64encode(b"short").decode()
MISTAKES = {
    f"ENC[AES256-GCM,iv:{IV},tag:{TAG}]": "missing data field in ENC[...]",
    f"ENC[AES256-GCM,data:{DATA},tag:{TAG}]": "missing iv field in ENC[...]",
    f"ENC[AES256-GCM,data:{DATA},iv:{IV}]": "missing tag field in ENC[...]",
    f"ENC[AES256-GCM,data:?,iv:{IV},tag:{TAG}]": "invalid base64 in data: ",
    f"ENC[AES256-GCM,data:{DATA},iv:{IV[:-1]},tag:{TAG}]": "invalid base64 in iv: ",
    f"ENC[AES256-GCM,data:{DATA},iv:{IV},tag:é]": "invalid base64 in tag: ",
    f"ENC[AES256-GCM,data:{DATA},iv:{SHORT},tag:{TAG}]": "IV must be 12 bytes, got 5",
    f"ENC[AES256-GCM,data:{DATA},iv:{IV},tag:{SHORT}]": "tag must be 16 bytes, got 5",
    f"ENC[AES256-GCM,data:{DATA},iv:{IV},tag:{'A' * 22}==]": (
        "decryption failed (wrong key or corrupted data)"
    ),
    f"ENC[AES256-GCM,data:{DATA},iv:{IV},tag:{TAG}": "begins with ENC[ and is no encrypted value",
    "ENC[AES256-CBC,data:,iv:,tag:]": "begins with ENC[ and is no encrypted value",
}


@pytest.mark.parametrize("value", MISTAKES)
def test_it_is_told_why_a_value_cannot_be_decrypted(value: str) -> None:
    with pytest.raises(SecretBoxError) as refused:
        decrypt(value, KEY)

    assert str(refused.value).startswith(MISTAKES[value])


def test_what_was_encrypted_must_be_text() -> None:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    sealed = AESGCM(KEY).encrypt(bytes(12), b"ab\xff", None)
    data, tag = (base64.b64encode(each).decode() for each in (sealed[:-16], sealed[-16:]))
    value = f"ENC[AES256-GCM,data:{data},iv:{'A' * 16},tag:{tag}]"

    with pytest.raises(SecretBoxError, match=r"^decrypted value is not UTF-8: .* at byte 2$"):
        decrypt(value, KEY)


@given(st.text(), KEYS)
def test_what_is_encrypted_comes_back(text: str, key: bytes) -> None:
    value = encrypt(text, key)

    assert is_encrypted(value)
    assert decrypt(value, key) == text


@given(st.text(), KEYS, KEYS)
def test_no_other_key_decrypts_it(text: str, key: bytes, other: bytes) -> None:
    if key != other:
        with pytest.raises(SecretBoxError, match=r"^decryption failed"):
            decrypt(encrypt(text, key), other)


@given(st.text())
def test_no_two_values_of_one_text_are_alike(text: str) -> None:
    assert encrypt(text, KEY) != encrypt(text, KEY)


@given(st.text(alphabet="ENC[AES256-GCM,data:iv=tg]\n +/é"))
def test_nothing_else_is_ever_raised(text: str) -> None:
    for value in (text, f"ENC[AES256-GCM,{text}]"):
        with pytest.raises(SecretBoxError):
            decrypt(value, KEY)


HOOK = """
[[providers]]
name = "billing"
type = "webhook"
url = "https://billing.example/"
secret = "{}"
"""


def test_a_configuration_may_have_encrypted_values_that_nothing_shows() -> None:
    config = parse_config(HOOK.format(VALUE), environ={"ACTEON_AUTH_KEY": HEX})

    settings = config.providers[0].settings
    assert isinstance(settings, WebhookConfig)
    assert settings.secret == "test-jwt-secret"
    assert config.secrets.hide("it is test-jwt-secret") == "it is [hidden]"
    assert "test-jwt-secret" not in repr(config)


@pytest.mark.parametrize(
    "text",
    ['prefix = "{}"', 'backend = "{}"', 'prefix = "${{VALUE}}"', 'prefix = "${{file:value}}"'],
)
def test_an_encrypted_value_stands_for_any_text(
    text: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("config")
    value = encrypt("memory", KEY)
    (folder / "value").write_text(f"{value}\n")
    environ = {"ACTEON_AUTH_KEY": HEX, "VALUE": value}

    config = parse_config(f"[state]\n{text.format(value)}", directory=folder, environ=environ)

    assert config.state.backend == "memory"


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        (
            {},
            "acteon.toml: provider 'billing': secret: ACTEON_AUTH_KEY environment variable is "
            "required to read ENC[…] values; openssl rand -hex 32 makes one",
        ),
        (
            {"ACTEON_AUTH_KEY": "00" * 32},
            "acteon.toml: provider 'billing': secret: decryption failed (wrong key or corrupted "
            "data)",
        ),
    ],
)
def test_it_is_told_where_a_value_is_that_cannot_be_decrypted(
    environ: dict[str, str], told: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_config(HOOK.format(VALUE), environ=environ)

    assert str(refused.value) == told


def test_a_value_that_holds_an_encrypted_one_is_left_as_it_is_and_warned_about(
    caplog: pytest.LogCaptureFixture,
) -> None:
    parse_config(f'[rules]\nenvironment = {{ a = "b{VALUE}" }}', environ={"ACTEON_AUTH_KEY": HEX})

    assert "only where it is the whole value" in caplog.text

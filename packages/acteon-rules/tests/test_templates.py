import pytest

from acteon.rules import TemplateError, compile_template, parse_field_path
from acteon.rules.expression import Binary, BinaryOperator, Call, Field, Literal, Name

ID = Field(Name("action"), "id")


def test_a_text_without_placeholders_is_constant() -> None:
    assert compile_template("a }} b") == Literal("a }} b")
    assert compile_template("") == Literal("")


def test_a_placeholder_alone_keeps_the_type_of_its_field() -> None:
    assert compile_template("{{ action.id }}") == ID


def test_pieces_are_joined_with_their_blanks() -> None:
    joined = Binary(BinaryOperator.ADD, Literal("a "), ID)
    assert compile_template("a {{action.id}} b") == Binary(
        BinaryOperator.ADD, joined, Literal(" b")
    )


def test_for_display_every_field_becomes_a_text() -> None:
    assert compile_template("{{action.id}}", display=True) == Call("to_string", (ID,))


def test_inside_of_a_placeholder_only_the_ends_are_trimmed() -> None:
    assert compile_template("{{ a b }}") == Name("a b")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{ }}", "parse error: empty template expression: '{{ }}'"),
        ("x {{ a", "parse error: unclosed template expression: missing '}}'"),
        ("{{ a..b }}", "parse error: empty segment in field path: 'a..b'"),
        ("{{ .a }}", "parse error: empty field path: '.a'"),
    ],
)
def test_what_is_no_template_is_refused(text: str, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        compile_template(text)
    assert str(caught.value) == message


def test_segments_of_a_path_are_taken_as_they_are() -> None:
    assert parse_field_path("p.l[0]. 1") == Field(Field(Name("p"), "l[0]"), " 1")

"""Giving a provider an action in another shape than it came in."""

from typing import Any

from attrs import Attribute, evolve

from acteon.core import Action
from acteon.provider.templates import PayloadTemplate


def is_template(_: object, attribute: "Attribute[Any]", value: Any) -> None:
    """Validate that `value` can be the template of a payload.

    Raises:
        ValueError: It cannot; the text says where and why.
    """
    try:
        PayloadTemplate.of(value)
    except ValueError as error:
        raise ValueError(f"'{attribute.name}' {error}") from None


def shaped(action: Action, template: PayloadTemplate | None) -> Action:
    """Return `action` with the payload that `template` makes of it; without one, as it is.

    Raises:
        ProviderSerializationError: The template cannot be filled in from this action.
    """
    return action if template is None else evolve(action, payload=template.render(action))

"""Making actions in programs."""

from acteon.core import Action


def test_the_first_five_members_may_be_given_by_place() -> None:
    action = Action("ns", "tenant", "email", "notify", {"to": "a@example.com"})

    assert action == Action(
        namespace="ns",
        tenant="tenant",
        provider="email",
        action_type="notify",
        payload={"to": "a@example.com"},
        id=action.id,
        created_at=action.created_at,
    )


def test_an_action_with_another_key_or_other_labels_is_the_same_action() -> None:
    action = Action("ns", "tenant", "email", "notify", {})
    other = action.with_dedup_key("once").with_metadata({"priority": "high"})

    assert (other.dedup_key, other.metadata) == ("once", {"priority": "high"})
    assert (other.id, other.created_at) == (action.id, action.created_at)
    assert (action.dedup_key, action.metadata) == (None, {})

from datetime import timedelta

import pytest

from acteon.core import (
    ActionOutcome,
    Deduplicated,
    Executed,
    Failed,
    ProviderResponse,
    Rerouted,
    ResponseStatus,
    Suppressed,
    Throttled,
    write_outcome,
)

SUCCESS = ProviderResponse(body={"ok": True})

CASES: list[tuple[ActionOutcome, str]] = [
    (Executed(SUCCESS), '{"Executed":{"body":{"ok":true},"headers":{},"status":"success"}}'),
    (
        Executed(ProviderResponse(ResponseStatus.PARTIAL, None, {"b": "2", "a": "1"})),
        '{"Executed":{"body":null,"headers":{"a":"1","b":"2"},"status":"partial"}}',
    ),
    (Deduplicated(), '"Deduplicated"'),
    (Suppressed("quiet-hours"), '{"Suppressed":{"rule":"quiet-hours"}}'),
    (
        Rerouted("pager", "sms", SUCCESS),
        '{"Rerouted":{"new_provider":"sms","original_provider":"pager",'
        '"response":{"body":{"ok":true},"headers":{},"status":"success"}}}',
    ),
    (Throttled(timedelta(seconds=60)), '{"Throttled":{"retry_after":{"nanos":0,"secs":60}}}'),
    (
        Throttled(timedelta(seconds=1, microseconds=5)),
        '{"Throttled":{"retry_after":{"nanos":5000,"secs":1}}}',
    ),
    (
        Failed(code="TIMEOUT", message="timeout after 30s", retryable=True, attempts=4),
        '{"Failed":{"attempts":4,"code":"TIMEOUT","message":"timeout after 30s","retryable":true}}',
    ),
]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (object(), '"[UNENCODABLE]"'),
        ({1: [object(), "ok"]}, '{"1":["[UNENCODABLE]","ok"]}'),
        ({"text\udfff": "\ud800"}, '{"text?":"?"}'),
    ],
)
def test_an_answer_that_json_cannot_say_does_not_hide_that_there_was_one(
    body: object, told: str
) -> None:
    text = write_outcome(Executed(ProviderResponse(ResponseStatus.PARTIAL, body)))

    assert text.decode() == f'{{"Executed":{{"body":{told},"headers":{{}},"status":"partial"}}}}'


def test_an_outcome_that_cannot_be_told_at_all_is_told_so() -> None:
    body: list[object] = []
    for _ in range(100_000):
        body = [body]

    assert write_outcome(Executed(ProviderResponse(body=body))) == b'"[UNENCODABLE]"'


def test_a_failure_with_half_a_character_in_its_text_is_told() -> None:
    failed = Failed(code="X", message="bad \ud800 text", retryable=False, attempts=1)

    assert b'"message":"bad ? text"' in write_outcome(failed)


@pytest.mark.parametrize(("outcome", "text"), CASES)
def test_an_outcome_has_exactly_one_text(outcome: ActionOutcome, text: str) -> None:
    assert write_outcome(outcome).decode() == text


KINDS = ("executed", "deduplicated", "suppressed", "rerouted", "throttled", "failed")
EACH = list({outcome.tag: outcome for outcome, _ in CASES}.values())


@pytest.mark.parametrize("outcome", EACH, ids=lambda outcome: outcome.tag)
def test_an_outcome_knows_what_it_is(outcome: ActionOutcome) -> None:
    assert [kind for kind in KINDS if getattr(outcome, f"is_{kind}")()] == [outcome.tag]


@pytest.mark.parametrize("outcome", EACH, ids=lambda outcome: outcome.tag)
def test_one_insists_on_an_outcome_and_goes_on_with_it(outcome: ActionOutcome) -> None:
    for kind in KINDS:
        insist = getattr(outcome, f"assert_{kind}")
        if kind == outcome.tag:
            assert insist() is outcome
        else:
            with pytest.raises(AssertionError) as caught:
                insist()
            assert str(caught.value) == f"expected {kind.capitalize()}, got {outcome!r}"


def test_all_kinds_of_outcomes_are_among_the_cases() -> None:
    assert {outcome.tag for outcome in EACH} == set(KINDS)

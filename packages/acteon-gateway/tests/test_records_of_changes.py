"""What a rule puts into a payload on its way to another provider is redacted like the rest."""

from acteon.audit import AuditSettings, AuditTrail, Redaction
from acteon.audit.testing import PlainAuditStore
from acteon.gateway.testing import OpenGateway, ScriptedProvider, make_action
from acteon.provider import ProviderConnectionError

REROUTING = """\
rules:
  - {name: elsewhere, condition: {field: action.tenant, eq: t1},
     action: {type: reroute, target_provider: sms, changes: {auth: {pin: "4242-of-the-route"}}}}
"""
HIDDEN = Redaction(["auth.pin"], texts=True)


async def test_a_secret_of_a_route_is_in_no_text_of_its_record(
    open_gateway: OpenGateway, email: ScriptedProvider, sms: ScriptedProvider
) -> None:
    store = PlainAuditStore()
    sms.answers.append(ProviderConnectionError("refused: 4242-of-the-route is no PIN"))
    async with (
        AuditTrail(store, AuditSettings(mode="sync", redaction=HIDDEN)) as trail,
        open_gateway(REROUTING, audit=trail) as gateway,
    ):
        await gateway.dispatch(make_action())

    assert (len(email.calls), len(sms.calls)) == (0, 1)
    assert sms.calls[0].payload["auth"]["pin"] == "4242-of-the-route"
    (record,) = store.records.values()
    assert record.outcome == "failed"
    assert b"refused: [REDACTED] is no PIN" in record.outcome_details
    assert b"4242" not in record.to_json()

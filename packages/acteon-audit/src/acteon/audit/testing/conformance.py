"""What every audit store promises, as tests."""

from datetime import timedelta
from functools import cache
from random import Random
from typing import Any, ClassVar, Final
from uuid import UUID

import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from acteon.audit.query import AuditPage, AuditQuery, Position, Scope
from acteon.audit.record import AuditRecord
from acteon.audit.store import AuditPlugin, AuditStore
from acteon.audit.testing.records import NOON, make_record, queries
from acteon.audit.testing.stores import PlainAuditStore

AUDIT_KIT: Final = "1"
"""The version of this kit. A higher number means that it asks for something that the one before
did not: what passed that one may fail this one. Closer tests of the same keep the number.
"""

TICK = timedelta(milliseconds=1)
TEXTS = (
    "namespace",
    "tenant",
    "provider",
    "action_type",
    "outcome",
    "verdict",
    "matched_rule",
    "caller_id",
)
ODD = (
    "",
    " ",
    "it's",
    '"quoted"',
    "back\\slash",
    "trailing\\",
    "why?",
    "100%",
    "under_score",
    "new\nline",
    "tab\tand\rreturn",
    "{brace: 1}",
    "$1 :name ; -- /* */",
    "Grüße, 世界 🎉",
    "CaSe",
)
ALIKE = (
    "a\0b",
    "a\ufffdb",
    "ab",
    "a\\0b",
    "a\\u0000b",
    "a\\x00b",
    "a%00b",
    "a\u2400b",
    "a\0",
    "a",
    "\0",
    "\0\0",
    "x" * 20_000 + "\0",
    "x" * 20_000 + "\ufffd",
    "x" * 20_000,
)
"""No two of these are the same text."""
PAYLOADS = (
    None,
    b"null",
    b"{}",
    b'""',
    b'{"list":[1,[2,{"deep":[]}]],"none":null,"yes":true}',
    '{"text":"Grüße, 世界 🎉","quotes":"\\"\'\\\\ \\n ? %"}'.encode(),
    b'{"big":123456789012345678901234567890,"float":0.1,"one":1.0,"tiny":1e-300}',
    b'{"b":1,"a":2}',
)
MODEL = settings(
    max_examples=60,
    deadline=None,
    # The store is the same for all examples, which only ever write the same records again; and
    # the suite is there to be inherited more than once.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)


class AuditStoreConformance:
    """Inherit this, and give it a fixture `store`: an empty `AuditStore` for every test.

    Attributes:
        precision: The smallest difference between instants that the store keeps; a millisecond
            at most.
    """

    precision: ClassVar[timedelta] = timedelta(microseconds=1)

    @pytest.fixture
    def plugin(self) -> type[AuditPlugin] | None:
        """Give the plugin that opens the store; None if it says of no kit."""
        return None

    async def test_its_plugin_names_this_kit(self, plugin: type[AuditPlugin] | None) -> None:
        assert plugin is None or plugin.kit == AUDIT_KIT

    async def test_a_record_is_found_by_its_id(self, store: AuditStore) -> None:
        record = make_record(caller_id="ann", auth_method="jwt", matched_rule="r")
        await store.write([record, make_record()])

        assert await store.get(record.id) == record

    async def test_unknown_ids_find_nothing(self, store: AuditStore) -> None:
        await store.write([make_record()])

        assert await store.get("nobody") is None
        assert await store.latest("nobody") is None

    async def test_writing_nothing_does_nothing(self, store: AuditStore) -> None:
        await store.write([])

        assert (await store.query(AuditQuery())).total == 0

    async def test_what_is_written_is_there_at_once(self, store: AuditStore) -> None:
        for number in range(1, 6):
            await store.write([make_record()])
            assert (await store.query(AuditQuery())).total == number

    async def test_a_record_written_twice_is_kept_once(self, store: AuditStore) -> None:
        record = make_record()
        await store.write([record])
        await store.write([record, make_record(), record])

        assert (await store.query(AuditQuery())).total == 2

    async def test_the_first_record_of_an_id_stays(self, store: AuditStore) -> None:
        record = make_record()
        await store.write([record])
        await store.write([evolve(record, outcome="failed")])

        assert await store.get(record.id) == record
        assert await store.latest(record.action_id) == record

    @pytest.mark.parametrize("payload", PAYLOADS)
    async def test_json_members_come_back_byte_by_byte(
        self, store: AuditStore, payload: bytes | None
    ) -> None:
        details = b'{"z":1,"a":{"b":"\xc3\xbc"}}'
        record = make_record(
            action_payload=payload,
            verdict_details=details,
            outcome_details=details,
            metadata=details,
        )
        await store.write([record])

        assert await store.get(record.id) == record
        assert (await store.query(AuditQuery())).records == (record,)

    async def test_instants_come_back_as_exact_as_promised(self, store: AuditStore) -> None:
        record = make_record(
            dispatched_at=NOON + self.precision,
            completed_at=NOON + 2 * self.precision,
            expires_at=NOON + 3 * self.precision,
        )
        await store.write([record])
        found = await store.get(record.id)

        assert found == record
        assert found is not None
        assert found.dispatched_at.utcoffset() == timedelta(0)

    async def test_long_durations_are_kept(self, store: AuditStore) -> None:
        record = make_record(duration_ms=2**53)
        await store.write([record])

        assert await store.get(record.id) == record

    async def test_the_newest_record_of_an_action_is_its_latest(self, store: AuditStore) -> None:
        older, newer = make_record(), make_record(dispatched_at=NOON + TICK)
        await store.write([newer, older, make_record(action_id="a-2")])

        assert await store.latest("a-1") == newer

    async def test_of_equal_instants_the_greatest_id_is_the_latest(self, store: AuditStore) -> None:
        await store.write([make_record(id=name) for name in ("b", "c", "a")])

        latest = await store.latest("a-1")
        assert latest is not None
        assert latest.id == "c"

    async def test_the_latest_is_the_latest_of_those_in_scope(self, store: AuditStore) -> None:
        ours = make_record()
        theirs = make_record(tenant="umbrella", dispatched_at=NOON + TICK)
        await store.write([ours, theirs])
        us, nobody = Scope(tenants=frozenset({"acme"})), Scope(tenants=frozenset())

        assert await store.latest("a-1", scopes=None) == theirs
        assert await store.latest("a-1", scopes=(us,)) == ours
        assert await store.latest("a-1", scopes=(us, Scope())) == theirs
        assert await store.latest("a-1", scopes=(nobody,)) is None
        assert await store.latest("a-1", scopes=()) is None

    @pytest.mark.parametrize("name", TEXTS)
    async def test_a_filter_finds_what_is_equal(self, store: AuditStore, name: str) -> None:
        wanted = make_record(**{name: "wanted"})
        await store.write([wanted, make_record(**{name: "other"}), make_record()])

        page = await store.query(AuditQuery(**_filter(name, "wanted")))
        assert page == AuditPage(records=(wanted,), total=1, limit=50, offset=0)
        assert (await store.query(AuditQuery(**_filter(name, "WANTED")))).total == 0
        assert (await store.query(AuditQuery(**_filter(name, "want")))).total == 0

    @pytest.mark.parametrize("name", TEXTS)
    async def test_a_filter_takes_any_text_as_it_is(self, store: AuditStore, name: str) -> None:
        odd = [make_record(**{name: text, "action_id": text}) for text in ODD]
        await store.write([*odd, make_record(**{name: "usual"})])

        for record, text in zip(odd, ODD, strict=True):
            page = await store.query(AuditQuery(**_filter(name, text)))
            assert page.records == (record,), text
            assert await store.latest(text) == record, text

    @pytest.mark.parametrize("name", ["tenants", "namespaces", "action_types"])
    async def test_a_scope_takes_any_text_as_it_is(self, store: AuditStore, name: str) -> None:
        odd = [make_record(**{name[:-1]: text}) for text in ODD]
        await store.write([*odd, make_record(**{name[:-1]: "usual"})])

        for record, text in zip(odd, ODD, strict=True):
            scope = Scope(**{name: frozenset({text})})
            assert (await store.query(AuditQuery(scopes=(scope,)))).records == (record,), text
        scope = Scope(**{name: frozenset(ODD)})
        assert (await store.query(AuditQuery(scopes=(scope,)))).total == len(ODD)

    @pytest.mark.parametrize("name", ["action_id", "tenant", "namespace", "action_type"])
    async def test_names_that_look_alike_stay_apart(self, store: AuditStore, name: str) -> None:
        # A store that cannot hold U+0000 must not put something in its place that others have.
        known = [make_record(**{name: text}) for text in ALIKE]
        await store.write(known)

        for record, text in zip(known, ALIKE, strict=True):
            assert await store.get(record.id) == record, ascii(text)
            if name == "action_id":
                assert await store.latest(text) == record, ascii(text)
                continue
            scope = Scope(**{f"{name}s": frozenset({text})})
            for query in (AuditQuery(scopes=(scope,)), AuditQuery(**_filter(name, text))):
                page = await store.query(query)
                assert (page.records, page.total) == ((record,), 1), ascii(text)
            assert await store.latest("a-1", scopes=(scope,)) == record, ascii(text)

    async def test_no_rule_is_not_the_rule_without_a_name(self, store: AuditStore) -> None:
        await store.write([make_record(matched_rule=None)])

        assert (await store.query(AuditQuery(matched_rule=""))).total == 0

    async def test_filters_must_all_fit(self, store: AuditStore) -> None:
        both = make_record(tenant="t", outcome="failed")
        await store.write([both, make_record(tenant="t"), make_record(outcome="failed")])

        page = await store.query(AuditQuery(tenant="t", outcome="failed"))
        assert page.records == (both,)

    async def test_bounds_of_time_are_included(self, store: AuditStore) -> None:
        times = [NOON + step * TICK for step in range(-2, 3)]
        await store.write([make_record(dispatched_at=time) for time in times])

        async def found(**bounds: Any) -> list[int]:
            page = await store.query(AuditQuery(**bounds))
            assert page.total == len(page.records)
            return [times.index(record.dispatched_at) for record in page.records]

        assert await found(since=NOON) == [4, 3, 2]
        assert await found(until=NOON) == [2, 1, 0]
        assert await found(since=NOON, until=NOON) == [2]
        assert await found(since=NOON - TICK, until=NOON + TICK) == [3, 2, 1]
        assert await found(since=NOON + TICK, until=NOON - TICK) == []
        assert await found(since=NOON - timedelta(hours=1)) == [4, 3, 2, 1, 0]
        assert await found(since=NOON + timedelta(hours=1)) == []

    async def test_bounds_are_as_exact_as_instants(self, store: AuditStore) -> None:
        await store.write([make_record()])

        assert (await store.query(AuditQuery(since=NOON + self.precision))).total == 0
        assert (await store.query(AuditQuery(until=NOON - self.precision))).total == 0

    async def test_a_page_is_a_part_of_all(self, store: AuditStore) -> None:
        ordered = [make_record(dispatched_at=NOON - step * TICK) for step in range(10)]
        await store.write(ordered)

        assert await store.query(AuditQuery(limit=3, offset=2)) == AuditPage(
            records=tuple(ordered[2:5]), total=10, limit=3, offset=2
        )
        assert await store.query(AuditQuery(limit=3, offset=9)) == AuditPage(
            records=tuple(ordered[9:]), total=10, limit=3, offset=9
        )
        assert await store.query(AuditQuery(offset=10)) == AuditPage(
            records=(), total=10, limit=50, offset=10
        )

    async def test_ties_are_ordered_by_id(self, store: AuditStore) -> None:
        ids = [f"{number:02}" for number in range(40)]
        shuffled = Random(1).sample(ids, len(ids))
        await store.write([make_record(id=name) for name in shuffled])

        pages = [await store.query(AuditQuery(limit=7, offset=step)) for step in range(0, 40, 7)]
        assert [record.id for page in pages for record in page.records] == ids[::-1]

    async def test_paging_by_position_misses_nothing_and_repeats_nothing(
        self, store: AuditStore
    ) -> None:
        known = [make_record(dispatched_at=NOON + (step % 5) * TICK) for step in range(30)]
        await store.write(known)

        seen: list[AuditRecord] = []
        after: Position | None = None
        total = 30
        while page := (await store.query(AuditQuery(limit=4, after=after))).records:
            seen += page
            after = Position(page[-1].dispatched_at, page[-1].id)
            # Newer ones come in front of what was seen: they count, and shift nothing.
            await store.write([make_record(dispatched_at=NOON + timedelta(hours=1))])
            total += 1
            assert (await store.query(AuditQuery(after=after))).total == total

        assert {record.id for record in seen} == {record.id for record in known}
        assert seen == sorted(known, key=lambda one: (one.dispatched_at, one.id), reverse=True)

    async def test_scopes_are_a_union(self, store: AuditStore) -> None:
        one = make_record(tenant="a", namespace="x", dispatched_at=NOON + 2 * TICK)
        two = make_record(tenant="b", action_type="y", dispatched_at=NOON + TICK)
        await store.write(
            [one, two, make_record(tenant="a"), make_record(tenant="b"), make_record()]
        )
        first = Scope(tenants=frozenset({"a"}), namespaces=frozenset({"x", "z"}))
        second = Scope(tenants=frozenset({"b"}), action_types=frozenset({"y"}))

        page = await store.query(AuditQuery(scopes=(first, second, first)))
        assert (page.records, page.total) == ((one, two), 2)
        assert (await store.query(AuditQuery(scopes=(second,)))).records == (two,)
        assert (await store.query(AuditQuery(scopes=(second,), tenant="a"))).total == 0
        assert (await store.query(AuditQuery(scopes=(first, Scope())))).total == 5

    async def test_no_scope_shows_nothing(self, store: AuditStore) -> None:
        await store.write([make_record()])

        for nothing in ((), (Scope(tenants=frozenset()),)):
            page = await store.query(AuditQuery(scopes=nothing))
            assert (page.records, page.total) == ((), 0)

    async def test_clean_up_removes_what_has_expired(self, store: AuditStore) -> None:
        expired = make_record(expires_at=NOON - TICK)
        now_expired = make_record(expires_at=NOON)
        later = make_record(expires_at=NOON + TICK, dispatched_at=NOON - TICK)
        never = make_record(dispatched_at=NOON - TICK, action_id="a-2")
        await store.write([expired, later, now_expired, never])

        assert await store.get(expired.id) == expired
        assert await store.clean_up(NOON) == 2
        assert await store.clean_up(NOON) == 0
        page = await store.query(AuditQuery())
        assert {record.id for record in page.records} == {later.id, never.id}
        assert await store.get(expired.id) is None
        assert await store.latest("a-1") == later

    async def test_erasing_takes_the_payload_and_leaves_the_rest(self, store: AuditStore) -> None:
        first, second, third = (make_record(matched_rule="r", caller_id="ann") for _ in range(3))
        await store.write([first, second, third])

        assert await store.erase([first.id, third.id]) == 2
        assert await store.get(first.id) == evolve(first, action_payload=None)
        assert await store.get(second.id) == second
        page = await store.query(AuditQuery(matched_rule="r", caller_id="ann"))
        assert {record.id: record.action_payload for record in page.records} == {
            first.id: None,
            second.id: second.action_payload,
            third.id: None,
        }
        assert page.total == 3

    async def test_erasing_again_or_what_is_not_there_does_nothing(self, store: AuditStore) -> None:
        full, empty = make_record(), make_record(action_payload=None)
        await store.write([full, empty])

        assert await store.erase([]) == 0
        assert await store.erase([empty.id, "never written"]) == 0
        assert await store.erase([full.id, full.id]) == 1
        assert await store.erase([full.id]) == 0
        assert await store.get(full.id) == evolve(full, action_payload=None)

    async def test_writing_again_brings_no_payload_back(self, store: AuditStore) -> None:
        record = make_record()
        await store.write([record])
        await store.erase([record.id])

        await store.write([record])
        assert await store.get(record.id) == evolve(record, action_payload=None)

    async def test_what_is_erased_expires_all_the_same(self, store: AuditStore) -> None:
        record = make_record(expires_at=NOON)
        await store.write([record])
        await store.erase([record.id])

        assert await store.clean_up(NOON) == 1
        assert await store.get(record.id) is None

    async def test_ten_thousand_records_are_kept_and_paged(self, store: AuditStore) -> None:
        many = [make_record(dispatched_at=NOON + step * TICK) for step in range(10_000)]
        for start in range(0, 10_000, 500):
            await store.write(many[start : start + 500])

        page = await store.query(AuditQuery(limit=1000))
        assert page.total == 10_000
        assert list(page.records) == many[:-1001:-1]
        deep = await store.query(AuditQuery(limit=2, offset=9_999))
        assert deep.records == (many[0],)
        first = Position(many[1].dispatched_at, many[1].id)
        assert (await store.query(AuditQuery(after=first))).records == (many[0],)

    async def test_it_answers_a_ping(self, store: AuditStore) -> None:
        await store.ping()

    @MODEL
    @given(query=queries(), action_id=st.sampled_from(["a", "b"]))
    async def test_answers_equal_those_of_a_plain_model(
        self, store: AuditStore, query: AuditQuery, action_id: str
    ) -> None:
        model = PlainAuditStore()
        await store.write(_corpus())
        await model.write(_corpus())

        assert await store.query(query) == await model.query(query)
        wanted = await model.latest(action_id, scopes=query.scopes)
        assert await store.latest(action_id, scopes=query.scopes) == wanted


def _filter(name: str, text: str) -> dict[str, Any]:
    return {name: text}


@cache
def _corpus() -> tuple[AuditRecord, ...]:
    """Return eighty records for the strategy `queries`, always the same."""
    chance = Random(7)

    def a_or_b() -> str:
        return chance.choice("ab")

    return tuple(
        make_record(
            id=str(UUID(int=chance.getrandbits(128))),
            action_id=a_or_b(),
            namespace=a_or_b(),
            tenant=a_or_b(),
            provider=a_or_b(),
            action_type=a_or_b(),
            verdict=a_or_b(),
            matched_rule=chance.choice(["a", "b", None]),
            outcome=a_or_b(),
            caller_id=a_or_b(),
            dispatched_at=NOON + chance.randrange(4) * TICK,
        )
        for _ in range(80)
    )

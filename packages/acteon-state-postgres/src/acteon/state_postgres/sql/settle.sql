-- Settles a batch of dispatches: what the tokens hold, under leases that are not over, ends.
--
-- Elements are numbered from 1. A text of NULL gives the claim back; a time of NULL is for
-- ever. Times are microseconds. An answer of NULL means that all has been settled.
CREATE OR REPLACE FUNCTION {settle}(
    tokens text[],
    lock_names text[],
    claims text[],
    texts text[],
    times bigint[],
    OUT settled boolean[]
)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET lock_timeout = '2s'
AS $function$
DECLARE
    wanted_locks bigint;
    wanted_claims bigint;
    wanted_texts bigint;
    released bigint[];
    given_back bigint[];
    ended bigint[];
BEGIN
    SELECT
        count(b.lock_name),
        count(b.claim) FILTER (WHERE b.text IS NULL),
        count(b.claim) FILTER (WHERE b.text IS NOT NULL)
    INTO wanted_locks, wanted_claims, wanted_texts
    FROM unnest(lock_names, claims, texts) AS b (lock_name, claim, text);

    IF wanted_texts = 0 THEN
        -- A release that a crash of the server takes back costs no more than a lease's time,
        -- so nobody waits for the disk.
        PERFORM set_config('synchronous_commit', 'off', true);
    END IF;

    IF wanted_locks > 0 THEN
        WITH gone AS (
            DELETE FROM {locks} AS t
            USING unnest(tokens, lock_names) WITH ORDINALITY AS b (token, lock_name, place)
            WHERE t.name = b.lock_name AND t.owner = b.token AND t.expires_at > now()
            RETURNING b.place
        )
        SELECT array_agg(place) INTO released FROM gone;
    END IF;

    IF wanted_claims > 0 THEN
        WITH gone AS (
            DELETE FROM {state} AS t
            USING unnest(tokens, claims, texts) WITH ORDINALITY AS b (token, claim, text, place)
            WHERE b.text IS NULL AND t.key = b.claim AND t.value = 'pending:' || b.token
                AND (t.expires_at IS NULL OR t.expires_at > now())
            RETURNING b.place
        )
        SELECT array_agg(place) INTO given_back FROM gone;
    END IF;

    IF wanted_texts > 0 THEN
        WITH changed AS (
            UPDATE {state} AS t
            SET value = b.text, expires_at = now() + b.ttl * interval '1 microsecond'
            FROM unnest(tokens, claims, texts, times)
                WITH ORDINALITY AS b (token, claim, text, ttl, place)
            WHERE b.text IS NOT NULL AND t.key = b.claim AND t.value = 'pending:' || b.token
                AND (t.expires_at IS NULL OR t.expires_at > now())
            RETURNING b.place
        )
        SELECT array_agg(place) INTO ended FROM changed;
    END IF;

    IF coalesce(cardinality(released), 0) < wanted_locks
        OR coalesce(cardinality(given_back), 0) < wanted_claims
        OR coalesce(cardinality(ended), 0) < wanted_texts
    THEN
        SELECT array_agg(
            (b.lock_name IS NULL OR coalesce(b.place = ANY(released), false))
            AND (
                b.claim IS NULL
                OR coalesce(b.place = ANY(given_back), false)
                OR coalesce(b.place = ANY(ended), false)
            )
            ORDER BY b.place
        )
        INTO settled
        FROM unnest(lock_names, claims) WITH ORDINALITY AS b (lock_name, claim, place);
    END IF;
END
$function$;

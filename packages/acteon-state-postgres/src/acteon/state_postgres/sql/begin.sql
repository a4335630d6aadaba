-- Begins a batch of dispatches, each of them wholly or not at all.
--
-- It reads how things stand, decides, and writes on the condition that they still stand so. If
-- another process came first, all is undone and it starts anew: each statement in here sees what
-- has been committed before it. Rows are written in one order (locks, claims, quotas, each by
-- name), so that two batches seldom wait for each other in a ring; where they do, as with one that
-- settles, the server ends one of them, which is then made again.
--
-- Elements are numbered from 1. The uses of quotas are in the order of the elements. Times are
-- microseconds. An answer that is NULL as a whole says nothing of any element.
CREATE OR REPLACE FUNCTION {begin}(
    tokens text[],
    leases bigint[],
    lock_names text[],
    claims text[],
    peeks boolean[],
    quota_keys text[],
    quota_windows bigint[],
    use_places integer[],
    use_quotas integer[],
    use_limits bigint[],
    read_keys text[],
    OUT busy bigint[],          -- until another one's lock ends
    OUT standing text[],           -- the value of a claim that another one has, or had
    OUT standing_left bigint[],    -- until that expires
    OUT refused integer[],      -- the quota without room, counted from 0
    OUT refused_left bigint[],  -- until its window closes
    OUT uncountable boolean[],  -- whether one of the quotas holds no count
    OUT read_values text[]
)
LANGUAGE plpgsql
-- Its plans are kept, and must still be right when the tables have grown.
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET lock_timeout = '2s'
AS $function$
BEGIN
    FOR attempt IN 1 .. 12 LOOP
        DECLARE
            elements CONSTANT integer := cardinality(tokens);
            uses CONSTANT integer := cardinality(use_places);
            far CONSTANT timestamptz := now() + interval '1000 years';
            held bigint;
            claimed bigint;
            wanted_locks bigint;
            wanted_claims bigint;
            wanted_counts bigint := 0;
            written bigint;
            counts bigint[];
            added bigint[];
            kept text[];
            kept_until timestamptz[];
            quota integer;
            place integer;
            first integer := 1;
            past integer;
        BEGIN
            IF uses > 0 THEN
                -- A busy counter changes all the time: who may count waits for its row first.
                PERFORM 1
                FROM {state} AS s
                JOIN (
                    SELECT quota_keys[u.quota] AS key, max(u.most) AS most
                    FROM unnest(use_places, use_quotas, use_limits) AS u (place, quota, most)
                    WHERE NOT peeks[u.place]
                    GROUP BY 1
                ) AS q ON s.key = q.key
                WHERE s.expires_at <= now()
                    OR s.value !~ '^-?[0-9]{{1,18}}$'
                    OR CASE WHEN s.value ~ '^-?[0-9]{{1,18}}$' THEN s.value::bigint < q.most END
                ORDER BY s.key
                FOR NO KEY UPDATE OF s;
            END IF;

            SELECT
                count(l.name),
                count(c.key),
                count(b.lock_name) FILTER (WHERE l.name IS NULL AND c.key IS NULL AND NOT b.peek),
                count(b.claim) FILTER (WHERE l.name IS NULL AND c.key IS NULL AND NOT b.peek),
                array_agg(
                    CASE WHEN l.expires_at IS NOT NULL THEN
                        (extract(epoch FROM least(l.expires_at, far) - now()) * 1000000)::bigint
                    END
                    ORDER BY b.place
                ),
                array_agg(c.value ORDER BY b.place),
                array_agg(
                    CASE WHEN c.expires_at IS NOT NULL THEN
                        (extract(epoch FROM least(c.expires_at, far) - now()) * 1000000)::bigint
                    END
                    ORDER BY b.place
                )
            INTO held, claimed, wanted_locks, wanted_claims, busy, standing, standing_left
            FROM unnest(tokens, lock_names, claims, peeks)
                WITH ORDINALITY AS b (token, lock_name, claim, peek, place)
            LEFT JOIN {locks} AS l
                ON l.name = b.lock_name AND l.expires_at > now() AND l.owner <> b.token AND NOT b.peek
            LEFT JOIN {state} AS c
                ON c.key = b.claim AND (c.expires_at IS NULL OR c.expires_at > now())
                AND c.value <> 'pending:' || b.token;

            IF cardinality(read_keys) > 0 THEN
                SELECT array_agg(s.value ORDER BY r.place)
                INTO read_values
                FROM unnest(read_keys) WITH ORDINALITY AS r (key, place)
                LEFT JOIN {state} AS s
                    ON s.key = r.key AND (s.expires_at IS NULL OR s.expires_at > now());
            END IF;

            IF uses > 0 THEN
                SELECT
                    array_agg(
                        CASE
                            WHEN s.key IS NULL THEN 0
                            WHEN s.value ~ '^-?[0-9]{{1,18}}$' THEN s.value::bigint
                        END
                        ORDER BY q.place
                    ),
                    array_agg(0 ORDER BY q.place),
                    array_agg(s.value ORDER BY q.place),
                    array_agg(s.expires_at ORDER BY q.place)
                INTO counts, added, kept, kept_until
                FROM unnest(quota_keys) WITH ORDINALITY AS q (key, place)
                LEFT JOIN {state} AS s
                    ON s.key = q.key AND (s.expires_at IS NULL OR s.expires_at > now());

                refused := array_fill(NULL::integer, ARRAY[elements]);
                refused_left := array_fill(NULL::bigint, ARRAY[elements]);
                uncountable := array_fill(false, ARRAY[elements]);
                WHILE first <= uses LOOP
                    place := use_places[first];
                    past := first;
                    WHILE use_places[past] = place LOOP
                        quota := use_quotas[past];
                        IF counts[quota] IS NULL THEN
                            uncountable[place] := true;
                        ELSIF counts[quota] >= use_limits[past] AND refused[place] IS NULL THEN
                            refused[place] := past - first;
                            refused_left[place] := CASE
                                WHEN kept_until[quota] IS NULL THEN quota_windows[quota]
                                ELSE (extract(epoch FROM least(kept_until[quota], far) - now())
                                    * 1000000)::bigint
                            END;
                        END IF;
                        past := past + 1;
                    END LOOP;
                    IF busy[place] IS NOT NULL OR standing[place] IS NOT NULL THEN
                        refused[place] := NULL;
                    ELSIF refused[place] IS NULL AND NOT peeks[place] THEN
                        FOR use IN first .. past - 1 LOOP
                            quota := use_quotas[use];
                            IF counts[quota] IS NOT NULL THEN
                                wanted_counts := wanted_counts + (added[quota] = 0)::integer;
                                counts[quota] := counts[quota] + 1;
                                added[quota] := added[quota] + 1;
                            END IF;
                        END LOOP;
                    END IF;
                    first := past;
                END LOOP;

                SELECT count(b.lock_name), count(b.claim)
                INTO wanted_locks, wanted_claims
                FROM unnest(lock_names, claims, peeks, busy, standing, refused)
                    AS b (lock_name, claim, peek, busy, standing, refused)
                WHERE b.busy IS NULL AND b.standing IS NULL AND b.refused IS NULL AND NOT b.peek;
            END IF;

            IF wanted_locks > 0 THEN
                INSERT INTO {locks} AS t (name, owner, expires_at)
                SELECT b.lock_name, b.token, now() + b.lease * interval '1 microsecond'
                FROM unnest(tokens, leases, lock_names, peeks, busy, standing, refused)
                    AS b (token, lease, lock_name, peek, busy, standing, refused)
                WHERE b.busy IS NULL AND b.standing IS NULL AND b.refused IS NULL AND NOT b.peek
                    AND b.lock_name IS NOT NULL
                ORDER BY b.lock_name COLLATE "C"
                ON CONFLICT (name) DO UPDATE
                SET owner = EXCLUDED.owner, expires_at = EXCLUDED.expires_at
                WHERE t.expires_at <= now() OR t.owner = EXCLUDED.owner;
                GET DIAGNOSTICS written = ROW_COUNT;
                wanted_locks := wanted_locks - written;
            END IF;

            IF wanted_claims > 0 THEN
                INSERT INTO {state} AS t (key, value, expires_at)
                SELECT b.claim, 'pending:' || b.token, now() + b.lease * interval '1 microsecond'
                FROM unnest(tokens, leases, claims, peeks, busy, standing, refused)
                    AS b (token, lease, claim, peek, busy, standing, refused)
                WHERE b.busy IS NULL AND b.standing IS NULL AND b.refused IS NULL AND NOT b.peek
                    AND b.claim IS NOT NULL
                ORDER BY b.claim COLLATE "C"
                ON CONFLICT (key) DO UPDATE
                SET value = EXCLUDED.value, expires_at = EXCLUDED.expires_at
                WHERE t.expires_at <= now() OR t.value = EXCLUDED.value;
                GET DIAGNOSTICS written = ROW_COUNT;
                wanted_claims := wanted_claims - written;
            END IF;

            IF wanted_counts > 0 THEN
                UPDATE {state} AS t
                SET value = q.total::text
                FROM unnest(quota_keys, counts, added, kept, kept_until)
                    AS q (key, total, added, kept, kept_until)
                WHERE q.added > 0 AND q.kept IS NOT NULL
                    AND t.key = q.key AND t.value = q.kept
                    AND t.expires_at IS NOT DISTINCT FROM q.kept_until;
                GET DIAGNOSTICS written = ROW_COUNT;
                wanted_counts := wanted_counts - written;
            END IF;

            IF wanted_counts > 0 THEN
                INSERT INTO {state} AS t (key, value, expires_at)
                SELECT q.key, q.total::text, now() + q.length * interval '1 microsecond'
                FROM unnest(quota_keys, quota_windows, counts, added, kept)
                    AS q (key, length, total, added, kept)
                WHERE q.added > 0 AND q.kept IS NULL
                ORDER BY q.key COLLATE "C"
                ON CONFLICT (key) DO UPDATE
                SET value = EXCLUDED.value, expires_at = EXCLUDED.expires_at
                WHERE t.expires_at <= now();
                GET DIAGNOSTICS written = ROW_COUNT;
                wanted_counts := wanted_counts - written;
            END IF;

            IF wanted_locks > 0 OR wanted_claims > 0 OR wanted_counts > 0 THEN
                RAISE SQLSTATE 'AC001';
            END IF;

            IF held = 0 THEN
                busy := NULL;
            END IF;
            IF claimed = 0 THEN
                standing := NULL;
                standing_left := NULL;
            END IF;
            RETURN;
        EXCEPTION
            WHEN SQLSTATE 'AC001' THEN
                -- Another process came first. All that this attempt has done is undone.
                NULL;
        END;
    END LOOP;
    RAISE EXCEPTION USING
        ERRCODE = 'serialization_failure', MESSAGE = 'others came first again and again';
END
$function$;

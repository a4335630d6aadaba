-- The members of records. `json`, and not `jsonb`, which would write them anew.
CREATE TABLE IF NOT EXISTS {audit} (
    id text COLLATE "C" NOT NULL,
    action_id text COLLATE "C" NOT NULL,
    namespace text COLLATE "C" NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    provider text COLLATE "C" NOT NULL,
    action_type text COLLATE "C" NOT NULL,
    verdict text COLLATE "C" NOT NULL,
    matched_rule text COLLATE "C",
    outcome text COLLATE "C" NOT NULL,
    action_payload json,
    verdict_details json NOT NULL,
    outcome_details json NOT NULL,
    metadata json NOT NULL,
    dispatched_at timestamptz NOT NULL,
    completed_at timestamptz NOT NULL,
    duration_ms bigint NOT NULL,
    expires_at timestamptz,
    caller_id text COLLATE "C" NOT NULL,
    auth_method text COLLATE "C" NOT NULL,
    PRIMARY KEY (id, dispatched_at)
) PARTITION BY RANGE (dispatched_at);

-- Its rows come and go: small as it is, it must be vacuumed often.
CREATE TABLE IF NOT EXISTS {locks} (
    name text COLLATE "C" PRIMARY KEY,
    owner text NOT NULL,
    expires_at timestamptz NOT NULL
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02);

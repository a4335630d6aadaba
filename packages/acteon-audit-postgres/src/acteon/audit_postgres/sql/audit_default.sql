-- What has no partition of its month is kept here: nothing is ever refused for that.
CREATE TABLE IF NOT EXISTS {audit_default} PARTITION OF {audit} DEFAULT
WITH (autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);

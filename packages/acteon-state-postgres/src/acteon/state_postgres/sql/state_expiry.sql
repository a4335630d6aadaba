-- For the sweeping alone; what never expires is not in it.
CREATE INDEX IF NOT EXISTS {state_expiry} ON {state} (expires_at) WHERE expires_at IS NOT NULL;

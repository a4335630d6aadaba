CREATE TABLE IF NOT EXISTS {audit} (
    {columns},
    PRIMARY KEY (id, dispatched_at)
) PARTITION BY RANGE (dispatched_at);

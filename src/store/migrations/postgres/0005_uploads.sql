-- Where the records of a run come from, and the key under which an upload may be sent again.
ALTER TABLE runs ADD COLUMN origin TEXT NOT NULL DEFAULT 'trigger'
    CHECK (origin IN ('trigger', 'upload'));
ALTER TABLE runs ADD COLUMN upload_key TEXT;
CREATE UNIQUE INDEX runs_upload_key ON runs (sync_id, account_id, upload_key)
    WHERE upload_key IS NOT NULL;
-- Runs of one sync follow one another, and no worker queues an upload.
CREATE UNIQUE INDEX runs_upload_open ON runs (sync_id)
    WHERE origin = 'upload' AND status = 'running';

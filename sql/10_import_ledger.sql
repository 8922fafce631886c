-- The ledger of imported files, the rows that were refused, and loads under way. A file stays in the
-- ledger from the moment it is taken until its remote copy is disposed of, so a crash in between
-- neither loses nor repeats it (architecture §4).

CREATE TABLE outbound.import_file (
    file_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id bigint REFERENCES outbound.job_run ON DELETE SET NULL,
    job_id integer REFERENCES outbound.job ON DELETE SET NULL,
    server text,
    directory text,
    name text NOT NULL,
    size bigint CHECK (size >= 0),
    modified_at timestamptz,
    sha256 bytea CHECK (octet_length(sha256) = 32),
    state text NOT NULL DEFAULT 'taken' CHECK (state IN ('taken', 'published', 'done', 'failed', 'known')),
    disposition text NOT NULL CHECK (disposition IN ('delete', 'move', 'leave')),
    outcome text CHECK (outcome IN ('deleted', 'moved', 'left', 'gone')),
    moved_to text,
    list_id integer,
    suppression_list_id integer,
    list_name text,
    append_type text,
    rows_read bigint,
    added bigint,
    updated bigint,
    unchanged bigint,
    duplicates bigint,
    rejected bigint,
    filtered bigint,
    warnings bigint,
    records bigint,
    reason text,
    message text,
    detail text,
    hint text,
    pruned boolean NOT NULL DEFAULT false,
    taken_at timestamptz NOT NULL DEFAULT now(),
    fetched_at timestamptz,
    published_at timestamptz,
    finished_at timestamptz,
    CONSTRAINT import_file_end CHECK ((state IN ('done', 'failed', 'known')) = (finished_at IS NOT NULL)),
    CONSTRAINT import_file_published CHECK (state NOT IN ('published', 'done') OR published_at IS NOT NULL),
    CONSTRAINT import_file_outcome CHECK ((state = 'done') = (outcome IS NOT NULL)),
    CONSTRAINT import_file_reconciles CHECK (state NOT IN ('published', 'done')
        OR rows_read = added + updated + duplicates + rejected + filtered)
);
COMMENT ON TABLE outbound.import_file IS 'Files that runs took: what they were, what became of their rows and of the remote file';
COMMENT ON COLUMN outbound.import_file.file_id IS 'Number of the file';
COMMENT ON COLUMN outbound.import_file.run_id IS 'The run that took it; null when the history of that run is past its retention';
COMMENT ON COLUMN outbound.import_file.job_id IS 'The job; null for a file imported by hand';
COMMENT ON COLUMN outbound.import_file.server IS 'SFTP server; null for a local file';
COMMENT ON COLUMN outbound.import_file.directory IS 'Directory on the server';
COMMENT ON COLUMN outbound.import_file.name IS 'Name of the file';
COMMENT ON COLUMN outbound.import_file.size IS 'Size in bytes, as the server listed it';
COMMENT ON COLUMN outbound.import_file.modified_at IS 'Modification time, as the server listed it';
COMMENT ON COLUMN outbound.import_file.sha256 IS 'SHA-256 of the file as fetched';
COMMENT ON COLUMN outbound.import_file.state IS 'taken, published (rows are in the list, remote file not yet disposed of), done, failed, known (same content was imported before)';
COMMENT ON COLUMN outbound.import_file.disposition IS 'What is to be done with the remote file: delete, move or leave';
COMMENT ON COLUMN outbound.import_file.outcome IS 'What was done: deleted, moved, left, or gone (it was not there any more)';
COMMENT ON COLUMN outbound.import_file.moved_to IS 'Path it was moved to';
COMMENT ON COLUMN outbound.import_file.list_id IS 'Contact list its rows went to';
COMMENT ON COLUMN outbound.import_file.suppression_list_id IS 'Do-not-contact list its rows went to';
COMMENT ON COLUMN outbound.import_file.list_name IS 'Name of the list at the time';
COMMENT ON COLUMN outbound.import_file.append_type IS 'Append type (list-automation §3.4)';
COMMENT ON COLUMN outbound.import_file.rows_read IS 'Rows in the file without header and blank lines';
COMMENT ON COLUMN outbound.import_file.added IS 'Contacts added; for a do-not-contact list, rows with a unit that was not on it';
COMMENT ON COLUMN outbound.import_file.updated IS 'Contacts replaced, those included that were equal already';
COMMENT ON COLUMN outbound.import_file.unchanged IS 'Of those updated, the ones that were equal already';
COMMENT ON COLUMN outbound.import_file.duplicates IS 'Rows dropped because their identifier was there before: in the file, or in the list with append only; for a do-not-contact list, rows whose units were all known';
COMMENT ON COLUMN outbound.import_file.rejected IS 'Rows refused, each with a reason in outbound.rejected_row';
COMMENT ON COLUMN outbound.import_file.filtered IS 'Rows left out by a selection';
COMMENT ON COLUMN outbound.import_file.warnings IS 'Units or texts reported though their row was loaded';
COMMENT ON COLUMN outbound.import_file.records IS 'Records (units) added';
COMMENT ON COLUMN outbound.import_file.reason IS 'Stable code of the reason for a failure';
COMMENT ON COLUMN outbound.import_file.message IS 'The failure in words';
COMMENT ON COLUMN outbound.import_file.detail IS 'The facts behind a failure';
COMMENT ON COLUMN outbound.import_file.hint IS 'What to do about it';
COMMENT ON COLUMN outbound.import_file.pruned IS 'Its rejected rows are past their retention and removed';
COMMENT ON COLUMN outbound.import_file.taken_at IS 'When the run took it';
COMMENT ON COLUMN outbound.import_file.fetched_at IS 'When it was in the spool';
COMMENT ON COLUMN outbound.import_file.published_at IS 'When its rows became visible';
COMMENT ON COLUMN outbound.import_file.finished_at IS 'When nothing was left to do';

CREATE INDEX import_file_name ON outbound.import_file (job_id, name);
COMMENT ON INDEX outbound.import_file_name IS 'Is this name known to the job?';
CREATE INDEX import_file_content ON outbound.import_file (job_id, sha256);
COMMENT ON INDEX outbound.import_file_content IS 'Is this content known to the job?';
CREATE INDEX import_file_run ON outbound.import_file (run_id);
COMMENT ON INDEX outbound.import_file_run IS 'Files of a run';

CREATE INDEX import_file_unpruned ON outbound.import_file (finished_at) WHERE NOT pruned;
COMMENT ON INDEX outbound.import_file_unpruned IS 'What retention still has to look at, whatever the length of the ledger';

CREATE TABLE outbound.rejected_row (
    file_id bigint NOT NULL REFERENCES outbound.import_file ON DELETE CASCADE,
    line_number bigint NOT NULL CHECK (line_number >= 1),
    column_name text,
    reason text NOT NULL,
    severity text NOT NULL CHECK (severity IN ('row', 'warning')),
    message text NOT NULL,
    original text NOT NULL
);
COMMENT ON TABLE outbound.rejected_row IS 'Rows and units that were refused or reported, with their text';
COMMENT ON COLUMN outbound.rejected_row.file_id IS 'The file';
COMMENT ON COLUMN outbound.rejected_row.line_number IS 'Line of the file, from 1 (the header is line 1)';
COMMENT ON COLUMN outbound.rejected_row.column_name IS 'Column concerned, where there is one';
COMMENT ON COLUMN outbound.rejected_row.reason IS 'Stable reason code (list-automation §4.8 V-5)';
COMMENT ON COLUMN outbound.rejected_row.severity IS 'row: the row was refused; warning: the row was loaded';
COMMENT ON COLUMN outbound.rejected_row.message IS 'What was wrong, in words';
COMMENT ON COLUMN outbound.rejected_row.original IS 'The text as it was in the file, at most 8,192 characters';
CREATE INDEX rejected_row_file ON outbound.rejected_row (file_id, line_number);
COMMENT ON INDEX outbound.rejected_row_file IS 'Rejected rows of a file, in its order';

CREATE TABLE outbound.load (
    load_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id bigint,
    try_no integer,
    file_id bigint,
    list_id integer UNIQUE,
    suppression_list_id integer UNIQUE,
    list_name text NOT NULL,
    mode text NOT NULL CHECK (mode IN ('new', 'swap', 'append', 'update', 'suppress')),
    definition jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT load_target CHECK ((mode = 'suppress') = (suppression_list_id IS NOT NULL) AND (mode = 'suppress') = (list_id IS NULL))
);
COMMENT ON TABLE outbound.load IS 'Loads under way: each has tables sys_load_<number> and sys_load_<number>_detail in outbound_list until it is published or given up';
COMMENT ON COLUMN outbound.load.load_id IS 'Number of the load';
COMMENT ON COLUMN outbound.load.run_id IS 'The run; null for contacts added from SQL';
COMMENT ON COLUMN outbound.load.try_no IS 'The go of a worker at that run';
COMMENT ON COLUMN outbound.load.file_id IS 'The file';
COMMENT ON COLUMN outbound.load.list_id IS 'The list it goes to (one load a list at a time); already given for a list that is still to be made';
COMMENT ON COLUMN outbound.load.suppression_list_id IS 'The do-not-contact list it goes to instead, likewise';
COMMENT ON COLUMN outbound.load.list_name IS 'Name of that list';
COMMENT ON COLUMN outbound.load.mode IS 'new: a new list; swap: the tables take the place of the present ones; append: existing contacts stay; update: existing contacts are replaced; suppress: units go on a do-not-contact list';
COMMENT ON COLUMN outbound.load.definition IS 'Definition of the list: columns, identifier, contact name, close rule';
COMMENT ON COLUMN outbound.load.created_at IS 'When the load began';

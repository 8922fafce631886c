-- Catalogue of dialer attempt results (contact-lists §6.1). The numbers below 1000 are ours and
-- fixed: records keep them in sys_last_attempt_dialer_attempt_result_id. A site's own results start at 1000.

CREATE TABLE outbound.attempt_result (
    result_id bigint PRIMARY KEY,
    name text NOT NULL UNIQUE,
    category text NOT NULL CHECK (category IN ('busy', 'noanswer', 'machine', 'abandoned', 'failed', 'success',
        'wrong_party', 'invalid', 'not_found', 'dnc', 'not_performed', 'unknown', 'manual', 'removed')),
    counts_as_attempt boolean NOT NULL,
    retryable boolean NOT NULL,
    description text NOT NULL
);
COMMENT ON TABLE outbound.attempt_result IS 'Results an attempt can have, and results the system itself gives (contact-lists §6.1)';
COMMENT ON COLUMN outbound.attempt_result.result_id IS 'Number, fixed; below 1000 belongs to the extension';
COMMENT ON COLUMN outbound.attempt_result.name IS 'Name a dialer reports, unique';
COMMENT ON COLUMN outbound.attempt_result.category IS 'Dialer attempt category: decides what becomes of the record';
COMMENT ON COLUMN outbound.attempt_result.counts_as_attempt IS 'Whether sys_attempts grows by it';
COMMENT ON COLUMN outbound.attempt_result.retryable IS 'Whether another attempt may follow';
COMMENT ON COLUMN outbound.attempt_result.description IS 'Meaning in words';

INSERT INTO outbound.attempt_result (result_id, name, category, counts_as_attempt, retryable, description) VALUES
    (1, 'busy', 'busy', true, true, 'line busy, or the conversation is in somebody''s hands'),
    (2, 'noanswer', 'noanswer', true, true, 'not answered'),
    (3, 'machine', 'machine', true, true, 'answering machine or auto-reply'),
    (4, 'abandoned', 'abandoned', true, true, 'answered, then dropped before an agent spoke'),
    (5, 'failed', 'failed', true, true, 'technical failure, or could not be sent'),
    (6, 'success', 'success', true, false, 'reached and handed over'),
    (7, 'wrong_party', 'wrong_party', true, false, 'reached somebody else'),
    (8, 'invalid', 'invalid', true, false, 'the number or address cannot exist'),
    (9, 'not_found', 'not_found', false, false, 'the conversation is missing'),
    (10, 'dnc', 'dnc', false, false, 'on a do-not-contact list'),
    (11, 'not_performed', 'not_performed', false, true, 'not carried out: no free line, window closed, campaign stopped'),
    (12, 'unknown', 'unknown', true, true, 'started, outcome lost'),
    (13, 'manual', 'manual', false, false, 'excluded by an operator'),
    (14, 'removed', 'removed', false, false, 'no longer among the units of the contact after an update');

-- Contact lists: the catalogue, and the abstract parents of the list tables (contact-lists §3, §4).
-- A list is two ordinary tables in schema outbound_list: <list> (one row a contact: the columns of
-- outbound.contact, then the user's own) and <list>_detail (one row a communication unit). They inherit
-- from the parents so that people can ask over all lists at once; no function here reads a parent.

CREATE TABLE outbound.list (
    list_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE CHECK (name ~ '\S' AND length(name) <= 255),
    table_name text NOT NULL UNIQUE CHECK (octet_length(table_name) <= 56),
    selection_method text NOT NULL DEFAULT 'file' CHECK (selection_method IN ('file', 'conversations')),
    identifier_column text,
    contact_name_column text,
    close_if_all boolean NOT NULL DEFAULT false,
    criteria jsonb,
    auto_add boolean NOT NULL DEFAULT false,
    auto_add_schedule text,
    auto_add_next_at timestamptz,
    auto_add_problem text,
    secured boolean NOT NULL DEFAULT false,
    last_contact_number bigint NOT NULL DEFAULT 0 CHECK (last_contact_number >= 0),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT list_criteria CHECK ((selection_method = 'conversations') = (criteria IS NOT NULL)
        AND (criteria IS NULL) = (auto_add_schedule IS NULL)),
    CONSTRAINT list_auto_add CHECK (criteria IS NOT NULL OR NOT auto_add),
    CONSTRAINT list_auto_add_next CHECK (auto_add OR (auto_add_next_at IS NULL AND auto_add_problem IS NULL))
);
COMMENT ON TABLE outbound.list IS 'Contact lists';
COMMENT ON COLUMN outbound.list.list_id IS 'Number of the list, in every row of its tables';
COMMENT ON COLUMN outbound.list.name IS 'Name as people wrote it, unique';
COMMENT ON COLUMN outbound.list.table_name IS 'Table of the contacts in schema outbound_list; the records are in the table of that name with _detail added';
COMMENT ON COLUMN outbound.list.selection_method IS 'How contacts come in: file or conversations; fixed at creation (contact-lists §2.1)';
COMMENT ON COLUMN outbound.list.identifier_column IS 'User column whose value is sys_id; null: running numbers';
COMMENT ON COLUMN outbound.list.contact_name_column IS 'User column that holds the name of the person';
COMMENT ON COLUMN outbound.list.close_if_all IS 'A contact is closed only when every conversation type it has units of succeeded (contact-lists §7.3)';
COMMENT ON COLUMN outbound.list.criteria IS 'Condition over conversations and their contacts, for a list made from conversations (contact-lists §2.2)';
COMMENT ON COLUMN outbound.list.auto_add IS 'Whether conversations that newly match are added by themselves';
COMMENT ON COLUMN outbound.list.auto_add_schedule IS 'When: minute, hour, day of the month, month, day of the week, in the zone of the account';
COMMENT ON COLUMN outbound.list.auto_add_next_at IS 'When next; null also when that schedule never comes again';
COMMENT ON COLUMN outbound.list.auto_add_problem IS 'Why the latest time added nothing; null when it went well';
COMMENT ON COLUMN outbound.list.secured IS 'Whether its last file came encrypted (list-automation §13 E-5)';
COMMENT ON COLUMN outbound.list.last_contact_number IS 'Highest running number given as sys_id; stays 0 with an identifier column';
COMMENT ON COLUMN outbound.list.created_at IS 'When the list was made';
COMMENT ON COLUMN outbound.list.updated_at IS 'When its definition or its contacts were last changed by a load or a rename';

CREATE TABLE outbound.list_column (
    list_id integer NOT NULL REFERENCES outbound.list ON DELETE CASCADE,
    position smallint NOT NULL CHECK (position >= 1),
    name text NOT NULL,
    column_name text NOT NULL CHECK (octet_length(column_name) <= 63),
    column_type text NOT NULL CHECK (column_type IN ('text', 'integer', 'numeric', 'boolean', 'date', 'timestamptz')),
    unit_type outbound.unit_type,
    inbox_id bigint REFERENCES outbound.inbox,
    PRIMARY KEY (list_id, position),
    UNIQUE (list_id, name),
    UNIQUE (list_id, column_name),
    CHECK (inbox_id IS NULL OR unit_type IS NOT NULL)
);
COMMENT ON TABLE outbound.list_column IS 'User columns of the contact lists';
COMMENT ON COLUMN outbound.list_column.list_id IS 'The list';
COMMENT ON COLUMN outbound.list_column.position IS 'Order, from 1';
COMMENT ON COLUMN outbound.list_column.name IS 'Name as people wrote it: the header of the file';
COMMENT ON COLUMN outbound.list_column.column_name IS 'Column of the list table';
COMMENT ON COLUMN outbound.list_column.column_type IS 'Type: text, integer (8 bytes), numeric, boolean, date or timestamptz';
COMMENT ON COLUMN outbound.list_column.unit_type IS 'Kind of unit it holds, if it is a contact column';
COMMENT ON COLUMN outbound.list_column.inbox_id IS 'Inbox its units are reached from; null for conversation_id, whose inbox is found';

-- Identifiers are compared byte by byte (list-automation §4.8 V-3): collation C says so, sorts fastest, and
-- keeps the keys valid when the operating system's collations change.
CREATE TABLE outbound.contact (
    list_id integer NOT NULL,
    sys_id text COLLATE "C" NOT NULL,
    sys_status "char" NOT NULL,
    sys_attempts integer NOT NULL DEFAULT 0,
    sys_status_call "char" NOT NULL,
    sys_status_email "char" NOT NULL,
    sys_status_social_media "char" NOT NULL,
    sys_attempts_call integer NOT NULL DEFAULT 0,
    sys_attempts_email integer NOT NULL DEFAULT 0,
    sys_attempts_social_media integer NOT NULL DEFAULT 0,
    sys_created_at timestamptz NOT NULL DEFAULT now(),
    sys_updated_at timestamptz NOT NULL DEFAULT now(),
    sys_last_attempt_cld_id bigint,
    sys_unit_types smallint NOT NULL DEFAULT 0,
    sys_last_attempt_at timestamptz,
    sys_wait_until timestamptz,
    sys_due_call timestamptz,
    sys_due_email timestamptz,
    sys_due_social_media timestamptz,
    sys_callback_call timestamptz,
    sys_callback_email timestamptz,
    sys_callback_social_media timestamptz,
    sys_open_attempt_id bigint,
    sys_open_record_id bigint,
    sys_open_campaign_id bigint,
    sys_open_dialer text,
    sys_open_claimed_at timestamptz,
    sys_open_started_at timestamptz,
    sys_open_until timestamptz,
    sys_open_previous "char",
    CONSTRAINT contact_codes CHECK (
        sys_status = ANY ('{I,A,U,C,Q,F}'::"char"[])
        AND sys_status_call = ANY ('{I,A,U,C,Q,F}'::"char"[])
        AND sys_status_email = ANY ('{I,A,U,C,Q,F}'::"char"[])
        AND sys_status_social_media = ANY ('{I,A,U,C,Q,F}'::"char"[])),
    CONSTRAINT contact_attempts CHECK (
        sys_attempts_call >= 0 AND sys_attempts_email >= 0 AND sys_attempts_social_media >= 0
        AND sys_attempts = sys_attempts_call + sys_attempts_email + sys_attempts_social_media),
    CONSTRAINT contact_last_attempt CHECK ((sys_last_attempt_cld_id IS NULL) = (sys_attempts = 0)),
    CONSTRAINT contact_open_attempt CHECK ((sys_status = ANY ('{I,Q}'::"char"[])) = (sys_open_attempt_id IS NOT NULL)),
    CONSTRAINT contact_abstract CHECK (false) NO INHERIT
);
COMMENT ON TABLE outbound.contact IS 'Contacts of all lists: the abstract parent, for questions over several lists';
COMMENT ON COLUMN outbound.contact.list_id IS 'The contact list the contact belongs to';
COMMENT ON COLUMN outbound.contact.sys_id IS 'Unique identifier of the contact within its list';
COMMENT ON COLUMN outbound.contact.sys_status IS 'Contact status: C callable, I in progress, Q queued, A attempts exhausted, F no callable record, U closed (contact-lists §5.2)';
COMMENT ON COLUMN outbound.contact.sys_attempts IS 'Attempts made for the contact';
COMMENT ON COLUMN outbound.contact.sys_status_call IS 'Status for calls (contact-lists §5.3)';
COMMENT ON COLUMN outbound.contact.sys_status_email IS 'Status for email (contact-lists §5.3)';
COMMENT ON COLUMN outbound.contact.sys_status_social_media IS 'Status for social media (contact-lists §5.3)';
COMMENT ON COLUMN outbound.contact.sys_attempts_call IS 'Attempts by call';
COMMENT ON COLUMN outbound.contact.sys_attempts_email IS 'Attempts by email';
COMMENT ON COLUMN outbound.contact.sys_attempts_social_media IS 'Attempts by social media';
COMMENT ON COLUMN outbound.contact.sys_created_at IS 'When the contact came into the list';
COMMENT ON COLUMN outbound.contact.sys_updated_at IS 'When the row last changed';
COMMENT ON COLUMN outbound.contact.sys_last_attempt_cld_id IS 'Record (sys_id of the detail table) of the latest attempt';
COMMENT ON COLUMN outbound.contact.sys_unit_types IS 'Conversation types the contact has units of: 1 call, 2 email, 4 social media, added up';
COMMENT ON COLUMN outbound.contact.sys_last_attempt_at IS 'Start of the latest attempt';
COMMENT ON COLUMN outbound.contact.sys_wait_until IS 'No automatic attempt before this moment: the least time between attempts, by the campaign of the latest one';
COMMENT ON COLUMN outbound.contact.sys_due_call IS 'When it can next be called automatically: null at any time, infinity never; means something while its codes are C';
COMMENT ON COLUMN outbound.contact.sys_due_email IS 'The same for email';
COMMENT ON COLUMN outbound.contact.sys_due_social_media IS 'The same for social media';
COMMENT ON COLUMN outbound.contact.sys_callback_call IS 'Earliest call planned by an agent';
COMMENT ON COLUMN outbound.contact.sys_callback_email IS 'Earliest email planned by an agent';
COMMENT ON COLUMN outbound.contact.sys_callback_social_media IS 'Earliest message planned by an agent';
COMMENT ON COLUMN outbound.contact.sys_open_attempt_id IS 'The attempt under way (I), or whose contact is with the campaign manager (Q)';
COMMENT ON COLUMN outbound.contact.sys_open_record_id IS 'Its record';
COMMENT ON COLUMN outbound.contact.sys_open_campaign_id IS 'Its campaign';
COMMENT ON COLUMN outbound.contact.sys_open_dialer IS 'Who claimed it';
COMMENT ON COLUMN outbound.contact.sys_open_claimed_at IS 'When it was claimed';
COMMENT ON COLUMN outbound.contact.sys_open_started_at IS 'When it was started; null: not yet';
COMMENT ON COLUMN outbound.contact.sys_open_until IS 'End of its lease (I), or of the waiting time (Q)';
COMMENT ON COLUMN outbound.contact.sys_open_previous IS 'Code of its record before the claim';

CREATE TABLE outbound.contact_detail (
    list_id integer NOT NULL,
    sys_id bigint NOT NULL,
    sys_contact_id text COLLATE "C" NOT NULL,
    sys_channel_user text NOT NULL,
    sys_channel_user_type outbound.unit_type NOT NULL,
    sys_cl_source_column text NOT NULL,
    sys_conversation_type outbound.conversation_type,
    sys_inbox_id bigint,
    sys_status "char" NOT NULL,
    sys_attempts integer NOT NULL DEFAULT 0,
    sys_attempts_abandoned integer NOT NULL DEFAULT 0,
    sys_attempts_busy integer NOT NULL DEFAULT 0,
    sys_attempts_noanswer integer NOT NULL DEFAULT 0,
    sys_attempts_machine integer NOT NULL DEFAULT 0,
    sys_scheduled_at timestamptz,
    sys_created_at timestamptz NOT NULL DEFAULT now(),
    sys_updated_at timestamptz NOT NULL DEFAULT now(),
    sys_last_attempt_datetime timestamptz,
    sys_last_attempt_campaign_id bigint,
    sys_last_attempt_dialog_id text,
    sys_last_attempt_dialer_attempt_result_id bigint,
    CONSTRAINT detail_code CHECK (sys_status = ANY ('{C,I,A,U,O,S,P,Q}'::"char"[])),
    CONSTRAINT detail_channel CHECK (sys_status = 'P' OR (sys_conversation_type IS NOT NULL AND sys_inbox_id IS NOT NULL)),
    CONSTRAINT detail_purged CHECK (sys_status <> 'P' OR sys_channel_user_type = 'conversation_id'),
    CONSTRAINT detail_attempts CHECK (
        sys_attempts_abandoned >= 0 AND sys_attempts_busy >= 0 AND sys_attempts_noanswer >= 0 AND sys_attempts_machine >= 0
        AND sys_attempts >= sys_attempts_abandoned + sys_attempts_busy + sys_attempts_noanswer + sys_attempts_machine),
    CONSTRAINT detail_schedule CHECK (CASE sys_status
        WHEN 'O' THEN sys_scheduled_at IS NOT NULL
        WHEN 'S' THEN sys_scheduled_at IS NOT NULL
        WHEN 'I' THEN true
        ELSE sys_scheduled_at IS NULL END),
    CONSTRAINT detail_abstract CHECK (false) NO INHERIT
);
COMMENT ON TABLE outbound.contact_detail IS 'Records of all lists, one a communication unit: the abstract parent, for questions over several lists';
COMMENT ON COLUMN outbound.contact_detail.list_id IS 'The contact list the record belongs to';
COMMENT ON COLUMN outbound.contact_detail.sys_id IS 'Running number of the record within its list';
COMMENT ON COLUMN outbound.contact_detail.sys_contact_id IS 'sys_id of the contact';
COMMENT ON COLUMN outbound.contact_detail.sys_channel_user IS 'The communication unit in its normal form; as given when it is invalid';
COMMENT ON COLUMN outbound.contact_detail.sys_channel_user_type IS 'Kind of unit';
COMMENT ON COLUMN outbound.contact_detail.sys_cl_source_column IS 'Column of the file the unit came from';
COMMENT ON COLUMN outbound.contact_detail.sys_conversation_type IS 'Conversation type of the inbox';
COMMENT ON COLUMN outbound.contact_detail.sys_inbox_id IS 'Inbox the unit is reached from';
COMMENT ON COLUMN outbound.contact_detail.sys_status IS 'Record status: C callable, I in progress, Q queued, O callback planned by the dialer, S callback planned by an agent, A attempts exhausted, U uncallable, P purged (contact-lists §5.1)';
COMMENT ON COLUMN outbound.contact_detail.sys_attempts IS 'Attempts made for this record';
COMMENT ON COLUMN outbound.contact_detail.sys_attempts_abandoned IS 'Attempts that ended abandoned';
COMMENT ON COLUMN outbound.contact_detail.sys_attempts_busy IS 'Attempts that ended busy';
COMMENT ON COLUMN outbound.contact_detail.sys_attempts_noanswer IS 'Attempts that were not answered';
COMMENT ON COLUMN outbound.contact_detail.sys_attempts_machine IS 'Attempts answered by a machine';
COMMENT ON COLUMN outbound.contact_detail.sys_scheduled_at IS 'No repeat before this moment';
COMMENT ON COLUMN outbound.contact_detail.sys_created_at IS 'When the record was made';
COMMENT ON COLUMN outbound.contact_detail.sys_updated_at IS 'When the row last changed';
COMMENT ON COLUMN outbound.contact_detail.sys_last_attempt_datetime IS 'Start of the latest attempt';
COMMENT ON COLUMN outbound.contact_detail.sys_last_attempt_campaign_id IS 'Campaign of the latest attempt';
COMMENT ON COLUMN outbound.contact_detail.sys_last_attempt_dialog_id IS 'Dialog of the latest attempt';
COMMENT ON COLUMN outbound.contact_detail.sys_last_attempt_dialer_attempt_result_id IS 'Result of the latest attempt (outbound.attempt_result), or the result the system gave';

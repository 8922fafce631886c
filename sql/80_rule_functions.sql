-- What the functions of the crate are for: pgrx writes no comments into the catalogue.

COMMENT ON FUNCTION outbound.extension_version IS 'Version of the loaded library; a worker compares its own with it';
COMMENT ON FUNCTION outbound.check_account IS 'Checks the settings of the account that are given and returns them in canonical form, or raises an error';
COMMENT ON FUNCTION outbound.derive_codes IS 'Codes of a contact (contact, call, email, social media) from its records (contact-lists §5.4)';
COMMENT ON FUNCTION outbound.check_contacts IS 'Checks contacts given in SQL, JSON text, by the row rules of a file; returns, as JSON text, the rows for both tables, what was reported, and the counts';
COMMENT ON FUNCTION outbound.file_name_matches IS 'Whether a file name satisfies an operation and its value (list-automation §3.3 M-2)';
COMMENT ON FUNCTION outbound.file_is_in_transfer IS 'Whether a file has a name that files have while they are being transferred (list-automation §2.3 F-17)';
COMMENT ON FUNCTION outbound.list_name_from IS 'Name of the list that a file makes when none is given (list-automation §3.4 A-3)';
COMMENT ON FUNCTION outbound.parse_sftp_address IS 'Host, port and directory of an SFTP address, or an error (list-automation §2.1 F-2)';
COMMENT ON FUNCTION outbound.check_host_key_fingerprint IS 'The fingerprint without padding, or an error that shows the form';
COMMENT ON FUNCTION outbound.load_table_ddl IS 'Statements that make one table of a load';
COMMENT ON FUNCTION outbound.load_copy_statement IS 'The COPY statement that fills one table of a load';
COMMENT ON FUNCTION outbound.load_keys_ddl IS 'Statements that finish one table of a load after its data';
COMMENT ON FUNCTION outbound.attach_ddl IS 'Statements that make the tables of a load the tables of a list';
COMMENT ON FUNCTION outbound.check_display_name IS 'Refuses a name that cannot be shown; any other text is accepted';
COMMENT ON FUNCTION outbound.list_table_name IS 'Table name for a list of that name, unlike the names that are taken';
COMMENT ON FUNCTION outbound.list_definition IS 'Checks what people want of a list, JSON text, and completes it to a definition, or raises an error that names the field';
COMMENT ON FUNCTION outbound.definition_for_header IS 'Definition of a list that a file makes: the columns of the job, every other column of the header as text';
COMMENT ON FUNCTION outbound.check_header IS 'Why the names of a header are refused; null when they are good';
COMMENT ON FUNCTION outbound.match_header IS 'Why a header does not fit a list; null when it does';
COMMENT ON FUNCTION outbound.check_job_rules IS 'Checks the rules of a job, JSON text, and returns them with every default, or raises an error that names the field';
COMMENT ON FUNCTION outbound.check_job_columns IS 'Refuses columns of a job whose inboxes do not exist or do not fit';

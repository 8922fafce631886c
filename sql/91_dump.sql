-- What pg_dump has to carry: every row people or runs made. Rows that the install script makes itself
-- (attempt results below 1000) are left out, or a restore would make them twice.
-- One statement each: every call updates the extension's own catalog row.

SELECT pg_catalog.pg_extension_config_dump('outbound.account', '');
SELECT pg_catalog.pg_extension_config_dump('outbound.inbox', '');
SELECT pg_catalog.pg_extension_config_dump('outbound.inbox_inbox_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('outbound.attempt_result', 'WHERE result_id >= 1000');
SELECT pg_catalog.pg_extension_config_dump('outbound.attempt_result_result_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('outbound.list', '');
SELECT pg_catalog.pg_extension_config_dump('outbound.list_list_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('outbound.list_column', '');
SELECT pg_catalog.pg_extension_config_dump('outbound.conversation', '');
SELECT pg_catalog.pg_extension_config_dump('outbound.conversation_contact', '');
SELECT pg_catalog.pg_extension_config_dump('outbound.conversation_source', '');
SELECT pg_catalog.pg_extension_config_dump('outbound.suppression_list', '');
SELECT pg_catalog.pg_extension_config_dump('outbound.suppression_list_suppression_list_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('outbound.suppression_entry', '');
SELECT pg_catalog.pg_extension_config_dump('outbound.calendar', '');
SELECT pg_catalog.pg_extension_config_dump('outbound.calendar_calendar_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('outbound.attempt_control', '');
SELECT pg_catalog.pg_extension_config_dump('outbound.attempt_control_attempt_control_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('outbound.wrap_up_code', '');
SELECT pg_catalog.pg_extension_config_dump('outbound.campaign', '');
SELECT pg_catalog.pg_extension_config_dump('outbound.campaign_campaign_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('outbound.campaign_list', '');
SELECT pg_catalog.pg_extension_config_dump('outbound.campaign_suppression_list', '');
SELECT pg_catalog.pg_extension_config_dump('outbound.sftp_server', '');
SELECT pg_catalog.pg_extension_config_dump('outbound.sftp_server_server_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('outbound.job', '');
SELECT pg_catalog.pg_extension_config_dump('outbound.job_job_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('outbound.job_run', '');
SELECT pg_catalog.pg_extension_config_dump('outbound.job_run_run_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('outbound.run_try', '');
SELECT pg_catalog.pg_extension_config_dump('outbound.import_file', '');
SELECT pg_catalog.pg_extension_config_dump('outbound.import_file_file_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('outbound.rejected_row', '');
SELECT pg_catalog.pg_extension_config_dump('outbound.load', '');
SELECT pg_catalog.pg_extension_config_dump('outbound.load_load_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('outbound.worker_public_key', '');
SELECT pg_catalog.pg_extension_config_dump('outbound.attempt_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('outbound.attempt_log_default', '');
SELECT pg_catalog.pg_extension_config_dump('outbound.contact_event_default', '');
SELECT pg_catalog.pg_extension_config_dump('outbound.contact_event_event_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('outbound.contact_count', '');
SELECT pg_catalog.pg_extension_config_dump('outbound.pace', '');
SELECT pg_catalog.pg_extension_config_dump('outbound.maintenance_log', '');

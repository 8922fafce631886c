-- Who may do what. Postgres lets PUBLIC execute new functions: that is taken away first, for all of
-- them; then each role gets its own. A reader looks, an operator runs lists and jobs, an admin sets
-- the account up, a worker calls the protocol; the roles build on one another where that holds.

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA outbound FROM PUBLIC;
REVOKE ALL ON ALL PROCEDURES IN SCHEMA outbound FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA outbound FROM PUBLIC;
REVOKE ALL ON TYPE outbound.unit_type, outbound.conversation_type FROM PUBLIC;

GRANT outbound_reader TO outbound_operator;
GRANT outbound_operator TO outbound_admin;

GRANT USAGE ON SCHEMA outbound, outbound_list TO outbound_reader, outbound_dialer, outbound_worker;
GRANT USAGE ON TYPE outbound.unit_type, outbound.conversation_type TO outbound_reader, outbound_dialer, outbound_worker;

GRANT SELECT ON ALL TABLES IN SCHEMA outbound TO outbound_reader;
GRANT EXECUTE ON FUNCTION outbound.contact_counts, outbound.run_status, outbound.public_key,
    outbound.account_settings, outbound.extension_version TO outbound_reader;

GRANT EXECUTE ON FUNCTION outbound.create_list, outbound.rename_list, outbound.drop_list, outbound.add_contacts,
    outbound.create_job, outbound.alter_job, outbound.drop_job, outbound.enable_job, outbound.disable_job,
    outbound.run_now, outbound.return_ended_runs, outbound.drop_dead_loads, outbound.prune_history TO outbound_operator;
GRANT EXECUTE ON PROCEDURE outbound.maintain TO outbound_operator;

GRANT EXECUTE ON FUNCTION outbound.set_account, outbound.create_inbox, outbound.drop_inbox,
    outbound.create_sftp_server, outbound.alter_sftp_server, outbound.drop_sftp_server TO outbound_admin;

GRANT EXECUTE ON FUNCTION outbound.claim_run, outbound.heartbeat, outbound.pin_host_key, outbound.plan_files, outbound.file_fetched,
    outbound.begin_load, outbound.create_load_table, outbound.finish_load_table, outbound.publish, outbound.file_disposed,
    outbound.file_failed, outbound.finish_run, outbound.run_now, outbound.dry_run, outbound.start_import, outbound.run_status,
    outbound.register_public_key, outbound.public_key, outbound.extension_version TO outbound_worker;
GRANT INSERT ON outbound.rejected_row TO outbound_worker;

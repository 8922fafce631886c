-- Who may do what. Postgres lets PUBLIC execute new functions: that is taken away first, for all of
-- them; then each role gets its own. A reader looks, an operator runs lists and jobs, an admin sets
-- the account up, a worker calls the protocol; the roles build on one another where that holds.

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA outbound FROM PUBLIC;
REVOKE ALL ON ALL PROCEDURES IN SCHEMA outbound FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA outbound FROM PUBLIC;
REVOKE ALL ON TYPE outbound.unit_type, outbound.conversation_type, outbound.attempt_answer FROM PUBLIC;

GRANT outbound_reader TO outbound_operator;
GRANT outbound_operator TO outbound_admin;

GRANT USAGE ON SCHEMA outbound, outbound_list TO outbound_reader, outbound_dialer, outbound_worker;
GRANT USAGE ON TYPE outbound.unit_type, outbound.conversation_type, outbound.attempt_answer TO outbound_reader, outbound_dialer, outbound_worker;

GRANT SELECT ON ALL TABLES IN SCHEMA outbound TO outbound_reader;
GRANT EXECUTE ON FUNCTION outbound.run_status, outbound.public_key, outbound.account_settings, outbound.calendar_is_open,
    outbound._campaign_counts, outbound.due_now, outbound.contact_history, outbound.explain, outbound.check_consistency,
    outbound.extension_version TO outbound_reader;

GRANT EXECUTE ON FUNCTION outbound.create_list, outbound.rename_list, outbound.drop_list, outbound.add_contacts,
    outbound.create_suppression_list, outbound.alter_suppression_list, outbound.drop_suppression_list, outbound.suppress, outbound.unsuppress,
    outbound.create_job, outbound.alter_job, outbound.drop_job, outbound.enable_job, outbound.disable_job,
    outbound.run_now, outbound.return_ended_runs, outbound.drop_dead_loads, outbound.prune_history TO outbound_operator;
GRANT EXECUTE ON FUNCTION outbound.create_calendar, outbound.alter_calendar, outbound.drop_calendar,
    outbound.create_attempt_control, outbound.alter_attempt_control, outbound.drop_attempt_control,
    outbound.set_wrap_up_code, outbound.drop_wrap_up_code,
    outbound.create_campaign, outbound.alter_campaign, outbound.start_campaign, outbound.stop_campaign,
    outbound.delete_campaign, outbound.restore_campaign TO outbound_operator;
GRANT EXECUTE ON FUNCTION outbound.move_callback, outbound.cancel_callback, outbound.exclude, outbound.reset, outbound.reevaluate,
    outbound.sweep_leases, outbound.end_waiting, outbound.complete_campaigns, outbound.compact_counts, outbound.prune_pace,
    outbound.keep_log_partitions, outbound.prune_maintenance_log, outbound._try_duty TO outbound_operator;
GRANT EXECUTE ON PROCEDURE outbound.maintain TO outbound_operator;

-- A dialer makes attempts and callbacks, and may ask why; it sees no table.
GRANT EXECUTE ON FUNCTION outbound.claim, outbound.start, outbound.settle, outbound.release, outbound.extend, outbound.finish,
    outbound.schedule_callback, outbound.move_callback, outbound.cancel_callback, outbound.explain, outbound.contact_history,
    outbound.extension_version TO outbound_dialer, outbound_operator;
GRANT EXECUTE ON FUNCTION outbound.create_list_from_conversations, outbound.preview_list, outbound.alter_list,
    outbound.add_new_conversations TO outbound_operator;

GRANT EXECUTE ON FUNCTION outbound.set_account, outbound.create_inbox, outbound.set_inbox, outbound.drop_inbox,
    outbound.create_attempt_result, outbound.drop_attempt_result,
    outbound.create_sftp_server, outbound.alter_sftp_server, outbound.drop_sftp_server TO outbound_admin;

GRANT EXECUTE ON FUNCTION outbound.set_conversation_source TO outbound_admin;
-- Whoever holds the conversations keeps these up to date.
GRANT INSERT, UPDATE, DELETE ON outbound.conversation, outbound.conversation_contact TO outbound_admin;

GRANT EXECUTE ON FUNCTION outbound.claim_run, outbound.heartbeat, outbound.pin_host_key, outbound.plan_files, outbound.file_fetched,
    outbound.begin_load, outbound.create_load_table, outbound.finish_load_table, outbound.publish, outbound.note_load_order, outbound.sample_load,
    outbound.file_disposed, outbound.file_failed, outbound.finish_run, outbound.run_now, outbound.dry_run, outbound.start_import, outbound.run_status,
    outbound.register_public_key, outbound.public_key, outbound.extension_version TO outbound_worker;
GRANT INSERT ON outbound.rejected_row TO outbound_worker;

//! The order of the install script: the functions of this crate first (they need no table), then
//! the files of `sql/` by their numbers, the grants and what pg_dump carries last.

use pgrx::prelude::*;

extension_sql_file!(
    "../../sql/01_roles_and_schemas.sql",
    name = "roles_and_schemas",
    bootstrap
);
extension_sql_file!(
    "../../sql/02_types.sql",
    name = "types",
    requires = [
        extension_version,
        account::check_account,
        campaigns::check_calendar,
        campaigns::calendar_state,
        campaigns::check_attempt_control,
        campaigns::check_campaign_settings,
        codes::derive_codes,
        conditions::check_condition,
        conditions::condition_sql,
        conditions::check_order,
        conditions::order_sql,
        contacts::check_contacts,
        engine::duties::_sweep_list,
        engine::duties::_end_waiting_of,
        engine::duties::_release_campaign,
        engine::duties::_campaign_has_work,
        engine::explain::explain,
        engine::operator::exclude,
        engine::operator::reset,
        engine::operator::reevaluate,
        engine::operator::move_callback,
        engine::operator::cancel_callback,
        engine::operator::_rederive_list,
        engine::operator::_rederive_contacts,
        engine::consistency::check_consistency,
        files::file_name_matches,
        files::file_is_in_transfer,
        files::list_name_from,
        files::parse_sftp_address,
        files::check_host_key_fingerprint,
        list_ddl::load_table_ddl,
        list_ddl::load_copy_statement,
        list_ddl::load_keys_ddl,
        list_ddl::claim_index_ddl,
        list_ddl::attach_ddl,
        lists::check_display_name,
        lists::list_table_name,
        lists::list_definition,
        lists::definition_for_header,
        lists::check_job_columns,
        lists::check_header,
        lists::match_header,
        rules::check_job_rules,
        suppression::check_units,
        suppression::suppression_definition,
        schedules::next_run
    ]
);
extension_sql_file!(
    "../../sql/03_account.sql",
    name = "account",
    requires = ["types"]
);
extension_sql_file!(
    "../../sql/04_inbox.sql",
    name = "inbox",
    requires = ["account"]
);
extension_sql_file!(
    "../../sql/05_attempt_result.sql",
    name = "attempt_result",
    requires = ["inbox"]
);
extension_sql_file!(
    "../../sql/06_contact_list.sql",
    name = "contact_list",
    requires = ["attempt_result"]
);
extension_sql_file!(
    "../../sql/07_sftp_server.sql",
    name = "sftp_server",
    requires = ["contact_list"]
);
extension_sql_file!(
    "../../sql/08_job.sql",
    name = "job",
    requires = ["sftp_server"]
);
extension_sql_file!("../../sql/09_run.sql", name = "run", requires = ["job"]);
extension_sql_file!(
    "../../sql/10_import_ledger.sql",
    name = "import_ledger",
    requires = ["run"]
);
extension_sql_file!(
    "../../sql/11_list_functions.sql",
    name = "list_functions",
    requires = ["import_ledger"]
);
extension_sql_file!(
    "../../sql/12_load.sql",
    name = "load",
    requires = ["list_functions"]
);
extension_sql_file!(
    "../../sql/13_merge.sql",
    name = "merge",
    requires = ["load"]
);
extension_sql_file!(
    "../../sql/14_publish.sql",
    name = "publish",
    requires = ["merge"]
);
extension_sql_file!(
    "../../sql/15_run_protocol.sql",
    name = "run_protocol",
    requires = ["publish"]
);
extension_sql_file!(
    "../../sql/16_files.sql",
    name = "files",
    requires = ["run_protocol"]
);
extension_sql_file!(
    "../../sql/17_add_contacts.sql",
    name = "add_contacts",
    requires = ["files"]
);
extension_sql_file!(
    "../../sql/18_public_keys.sql",
    name = "public_keys",
    requires = ["add_contacts"]
);
extension_sql_file!(
    "../../sql/21_calendar.sql",
    name = "calendar",
    requires = ["public_keys"]
);
extension_sql_file!(
    "../../sql/22_attempt_control.sql",
    name = "attempt_control",
    requires = ["calendar"]
);
extension_sql_file!(
    "../../sql/23_suppression.sql",
    name = "suppression",
    requires = ["attempt_control"]
);
extension_sql_file!(
    "../../sql/24_campaign.sql",
    name = "campaign",
    requires = ["suppression"]
);
extension_sql_file!(
    "../../sql/25_conversation.sql",
    name = "conversation",
    requires = ["campaign"]
);
extension_sql_file!(
    "../../sql/26_attempt_log.sql",
    name = "attempt_log",
    requires = ["conversation"]
);
extension_sql_file!(
    "../../sql/27_counters.sql",
    name = "counters",
    requires = ["attempt_log"]
);
extension_sql_file!(
    "../../sql/28_dialer.sql",
    name = "dialer",
    requires = ["counters"]
);
extension_sql_file!(
    "../../sql/30_conversation_list.sql",
    name = "conversation_list",
    requires = ["dialer"]
);
extension_sql_file!(
    "../../sql/32_views.sql",
    name = "views",
    requires = ["conversation_list"]
);
extension_sql_file!(
    "../../sql/33_campaign_status.sql",
    name = "campaign_status",
    requires = ["views"]
);
extension_sql_file!(
    "../../sql/34_file_preview.sql",
    name = "file_preview",
    requires = ["campaign_status"]
);
extension_sql_file!(
    "../../sql/40_maintenance.sql",
    name = "maintenance",
    requires = ["file_preview"]
);
extension_sql_file!(
    "../../sql/80_rule_functions.sql",
    name = "rule_functions",
    requires = ["maintenance"]
);
extension_sql_file!(
    "../../sql/90_grants.sql",
    name = "grants",
    requires = ["rule_functions"]
);
extension_sql_file!(
    "../../sql/91_dump.sql",
    name = "dump",
    requires = ["grants"],
    finalize
);

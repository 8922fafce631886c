//! The DDL of list tables, as text: each function returns statements that `outbound._execute` runs in
//! order. Every name that came from people passes `quote_identifier` or `quote_literal`; nothing is
//! pasted.
//!
//! A load has the tables `sys_load_<n>` and `sys_load_<n>_detail`. For a fresh load (a new list, or one
//! that is flushed) they have the documented columns, checks and comments of the parents, get their keys
//! after the data, and become the list's own tables. For a merge they are bare, unlogged staging tables.

use pgrx::JsonB;
use pgrx::prelude::*;
use pgrx::spi::{quote_identifier, quote_literal};

use crate::error::{invalid, own_document};
use crate::lists::DefinedColumn;
use outbound_core::unit::ConversationType;
use outbound_core::value::ColumnType;

/// Columns that a contact load fills besides the user's own.
const CONTACT_COLUMNS: &str = "list_id, sys_id, sys_status, sys_status_call, sys_status_email, sys_status_social_media, sys_unit_types";

/// Columns that a detail load fills.
const DETAIL_COLUMNS: &str = "list_id, sys_id, sys_contact_id, sys_channel_user, sys_channel_user_type, sys_cl_source_column, \
     sys_conversation_type, sys_inbox_id, sys_status, sys_last_attempt_dialer_attempt_result_id";

/// The two tables of a list or a load.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Contact,
    Detail,
}

impl Part {
    fn parse(text: &str) -> Self {
        match text {
            "contact" => Self::Contact,
            "detail" => Self::Detail,
            _ => invalid(
                format!("a load has no part \"{text}\""),
                "",
                "Use contact or detail.",
            ),
        }
    }

    const fn parent(self) -> &'static str {
        match self {
            Self::Contact => "outbound.contact",
            Self::Detail => "outbound.contact_detail",
        }
    }

    /// Storage parameters. Every attempt rewrites its record twice, which stays cheap while the page has room
    /// for it; and what attempts leave behind is cleaned away by number of rows, whatever the size of the list.
    const fn storage(self) -> &'static str {
        match self {
            Self::Contact => {
                "fillfactor = 90, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0"
            }
            Self::Detail => {
                "fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0"
            }
        }
    }

    const fn suffix(self) -> &'static str {
        match self {
            Self::Contact => "",
            Self::Detail => "_detail",
        }
    }
}

/// The type of a user column in a list's tables.
pub const fn sql_type(column_type: ColumnType) -> &'static str {
    match column_type {
        ColumnType::Text => "text",
        ColumnType::Integer => "bigint",
        ColumnType::Numeric => "numeric",
        ColumnType::Boolean => "boolean",
        ColumnType::Date => "date",
        ColumnType::Timestamptz => "timestamptz",
    }
}

/// A load's table, qualified.
fn load_table(load: i64, part: Part) -> String {
    format!("outbound_list.sys_load_{load}{}", part.suffix())
}

/// User columns as they stand in CREATE TABLE, each with a leading comma.
fn column_definitions(columns: &[DefinedColumn]) -> String {
    columns
        .iter()
        .map(|c| {
            format!(
                ", {} {}",
                quote_identifier(&c.column_name),
                sql_type(c.column_type)
            )
        })
        .collect()
}

/// Statements that make one table of a load, empty and without keys.
#[pg_extern(immutable, parallel_safe)]
#[search_path(pg_catalog, pg_temp)]
pub fn load_table_ddl(
    load: i64,
    part: &str,
    list_id: i32,
    columns: JsonB,
    staging: bool,
) -> Vec<String> {
    let part = Part::parse(part);
    let columns: Vec<DefinedColumn> = own_document("the columns of the list", columns.0);
    let table = load_table(load, part);
    let mut statements = Vec::new();
    if staging {
        let body = match part {
            Part::Contact => format!(
                "list_id integer, sys_id text COLLATE \"C\", sys_status \"char\", sys_status_call \"char\", sys_status_email \"char\", \
                 sys_status_social_media \"char\", sys_unit_types smallint{}",
                column_definitions(&columns)
            ),
            Part::Detail => "list_id integer, sys_id bigint, sys_contact_id text COLLATE \"C\", sys_channel_user text, \
                 sys_channel_user_type outbound.unit_type, sys_cl_source_column text, \
                 sys_conversation_type outbound.conversation_type, sys_inbox_id bigint, sys_status \"char\", \
                 sys_last_attempt_dialer_attempt_result_id bigint"
                .to_owned(),
        };
        statements.push(format!("CREATE UNLOGGED TABLE {table} ({body})"));
    } else {
        let (abstract_check, list_check, own_columns) = match part {
            Part::Contact => (
                "contact_abstract",
                "contact_list",
                column_definitions(&columns),
            ),
            Part::Detail => ("detail_abstract", "detail_list", String::new()),
        };
        statements.push(format!(
            "CREATE TABLE {table} (LIKE {} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING COMMENTS{own_columns}, \
             CONSTRAINT {list_check} CHECK (list_id = {list_id})) WITH ({})",
            part.parent(),
            part.storage()
        ));
        statements.push(format!(
            "ALTER TABLE {table} DROP CONSTRAINT {abstract_check}"
        ));
    }
    statements.push(format!(
        "GRANT INSERT, SELECT ON {table} TO outbound_worker"
    ));
    statements
}

/// The COPY statement that fills one table of a load; `fresh` when the table is made in the same
/// transaction and may be frozen.
#[pg_extern(immutable, parallel_safe)]
#[search_path(pg_catalog, pg_temp)]
pub fn load_copy_statement(load: i64, part: &str, columns: JsonB, fresh: bool) -> String {
    let part = Part::parse(part);
    let columns: Vec<DefinedColumn> = own_document("the columns of the list", columns.0);
    let names = match part {
        Part::Contact => {
            let own: String = columns
                .iter()
                .map(|c| format!(", {}", quote_identifier(&c.column_name)))
                .collect();
            format!("{CONTACT_COLUMNS}{own}")
        }
        Part::Detail => DETAIL_COLUMNS.to_owned(),
    };
    format!(
        "COPY {} ({names}) FROM STDIN (FORMAT binary{})",
        load_table(load, part),
        if fresh { ", FREEZE" } else { "" }
    )
}

/// Statements that finish one table of a load after its data: keys and indexes, those of the claims for the
/// conversation types that campaigns work now; or statistics for a staging table, without which the merge
/// could be planned badly.
#[pg_extern(immutable, parallel_safe)]
#[search_path(pg_catalog, pg_temp)]
pub fn load_keys_ddl(
    load: i64,
    part: &str,
    conversation_types: Vec<String>,
    staging: bool,
) -> Vec<String> {
    let part = Part::parse(part);
    let table = load_table(load, part);
    match (part, staging) {
        (_, true) => vec![format!("ANALYZE {table}")],
        (Part::Contact, false) => {
            let mut statements = vec![format!(
                "ALTER TABLE {table} ADD CONSTRAINT sys_key_{load} PRIMARY KEY (sys_id)"
            )];
            for code in ["I", "Q"] {
                statements.push(format!(
                    "CREATE INDEX sys_open_{}_{load} ON {table} (sys_open_attempt_id) WHERE sys_status = '{code}'",
                    code.to_lowercase()
                ));
            }
            for kind in conversation_types {
                statements.extend(claim_indexes(&table, &load.to_string(), &kind));
            }
            statements
        }
        // One index for both: the records of a contact, and a record of it. Record numbers come from one
        // sequence, so a second index that keeps them apart would only cost time with every new record.
        (Part::Detail, false) => vec![
            format!(
                "ALTER TABLE {table} ADD CONSTRAINT sys_detail_key_{load} PRIMARY KEY (sys_contact_id, sys_id)"
            ),
            format!(
                "ALTER TABLE {table} ALTER COLUMN sys_id ADD GENERATED BY DEFAULT AS IDENTITY \
                 (SEQUENCE NAME outbound_list.sys_record_{load})"
            ),
        ],
    }
}

/// Statements that make the indexes of the claims of one conversation type for a list.
#[pg_extern(immutable, parallel_safe)]
#[search_path(pg_catalog, pg_temp)]
pub fn claim_index_ddl(table_name: &str, list_id: i32, conversation_type: &str) -> Vec<String> {
    let table = format!("outbound_list.{}", quote_identifier(table_name));
    claim_indexes(&table, &format!("list_{list_id}"), conversation_type)
}

/// They hold only contacts that a claim could take, so that its cost does not grow with the contacts that
/// are done or under way. A list has those of the types that campaigns have worked: each is entered anew
/// with every attempt, of whatever type, and with every contact that a load adds.
fn claim_indexes(table: &str, suffix: &str, conversation_type: &str) -> Vec<String> {
    let Ok(kind) = conversation_type.parse::<ConversationType>() else {
        invalid(
            format!("there is no conversation type \"{conversation_type}\""),
            "",
            "Use call, email or social_media.",
        )
    };
    vec![
        format!(
            "CREATE INDEX IF NOT EXISTS sys_due_{kind}_{suffix} ON {table} (sys_due_{kind}, sys_id) \
             WHERE sys_status = 'C' AND sys_status_{kind} = 'C'"
        ),
        format!(
            "CREATE INDEX IF NOT EXISTS sys_callback_{kind}_{suffix} ON {table} (sys_callback_{kind}, sys_id) \
             WHERE sys_status = 'C' AND sys_status_{kind} = 'C' AND sys_callback_{kind} IS NOT NULL"
        ),
    ]
}

/// Statements that make the tables of a fresh load the tables of a list: names, inheritance, rights,
/// comments.
#[pg_extern(immutable, parallel_safe)]
#[search_path(pg_catalog, pg_temp)]
pub fn attach_ddl(load: i64, table_name: &str, list_name: &str, columns: JsonB) -> Vec<String> {
    let columns: Vec<DefinedColumn> = own_document("the columns of the list", columns.0);
    let mut statements = Vec::new();
    for (part, what) in [
        (Part::Contact, "one row a contact"),
        (Part::Detail, "one row a communication unit"),
    ] {
        let final_name = format!("{table_name}{}", part.suffix());
        let table = format!("outbound_list.{}", quote_identifier(&final_name));
        statements.push(format!(
            "ALTER TABLE {} RENAME TO {}",
            load_table(load, part),
            quote_identifier(&final_name)
        ));
        statements.push(format!("ALTER TABLE {table} INHERIT {}", part.parent()));
        statements.push(format!("REVOKE ALL ON {table} FROM outbound_worker"));
        statements.push(format!("GRANT SELECT ON {table} TO outbound_reader"));
        statements.push(format!(
            "COMMENT ON TABLE {table} IS {}",
            quote_literal(format!("Contact list \"{list_name}\": {what}"))
        ));
        if part == Part::Contact {
            for column in &columns {
                let role = column
                    .unit_type
                    .map_or(String::new(), |unit| format!(", units of type {unit}"));
                statements.push(format!(
                    "COMMENT ON COLUMN {table}.{} IS {}",
                    quote_identifier(&column.column_name),
                    quote_literal(format!("User column \"{}\"{role}", column.name))
                ));
            }
        }
    }
    statements
}

#[cfg(any(test, feature = "pg_test"))]
#[pg_schema]
mod tests {
    use pgrx::prelude::*;

    use crate::testing::{problem, run, value};

    const COLUMNS: &str = r#"[{"name": "a b", "column_name": "a\"; DROP TABLE x; --", "type": "integer", "unit_type": null,
        "inbox_id": null, "conversation_type": null}]"#;

    fn statements(function: &str, arguments: &str) -> Vec<String> {
        value(&format!("SELECT outbound.{function}({arguments})"))
    }

    #[pg_test]
    fn a_fresh_table_has_the_columns_and_checks_of_its_parent_and_of_its_list() {
        run(&format!(
            "SELECT outbound._execute(outbound.load_table_ddl(1, 'contact', 5, '{COLUMNS}', false))"
        ));
        let columns = "SELECT count(*) FROM pg_attribute WHERE attrelid = 'outbound_list.sys_load_1'::regclass AND attnum > 0";
        let parents = "SELECT count(*) + 1 FROM pg_attribute WHERE attrelid = 'outbound.contact'::regclass AND attnum > 0";
        assert_eq!(value::<i64>(columns), value::<i64>(parents));
        let checks = "SELECT string_agg(conname, ' ' ORDER BY conname) FROM pg_constraint \
                      WHERE conrelid = 'outbound_list.sys_load_1'::regclass AND contype = 'c'";
        assert_eq!(
            value::<String>(checks),
            "contact_attempts contact_codes contact_last_attempt contact_list contact_open_attempt"
        );
    }

    #[pg_test]
    fn a_staging_table_is_bare_and_unlogged() {
        run(&format!(
            "SELECT outbound._execute(outbound.load_table_ddl(1, 'detail', 5, '{COLUMNS}', true))"
        ));
        assert!(value::<bool>(
            "SELECT relpersistence = 'u' AND relchecks = 0 AND NOT relhasindex FROM pg_class WHERE oid = 'outbound_list.sys_load_1_detail'::regclass"
        ));
    }

    #[pg_test]
    fn rows_are_frozen_only_in_a_table_made_for_them() {
        let ends = |fresh: bool| -> String {
            value(&format!(
                "SELECT right(outbound.load_copy_statement(1, 'contact', '{COLUMNS}', {fresh}), 24)"
            ))
        };
        assert!(ends(true).ends_with("(FORMAT binary, FREEZE)"));
        assert!(ends(false).ends_with("(FORMAT binary)"));
    }

    #[pg_test]
    fn names_are_quoted_in_every_statement() {
        let quoted = "\"a\"\"; DROP TABLE x; --\"";
        let made = statements(
            "load_table_ddl",
            &format!("1, 'contact', 5, '{COLUMNS}', false"),
        );
        assert!(made[0].contains(&format!(", {quoted} bigint")));
        let attached = statements(
            "attach_ddl",
            &format!("1, 'x\"; --', 'It''s a \"list\"', '{COLUMNS}'"),
        );
        assert!(attached[0].ends_with("RENAME TO \"x\"\"; --\""));
        assert!(
            attached
                .iter()
                .any(|s| s.ends_with("IS 'Contact list \"It''s a \"list\"\": one row a contact'"))
        );
        assert!(attached.iter().any(|s| s.contains(quoted)));
    }

    #[pg_test]
    fn claims_have_indexes_for_the_types_that_are_worked() {
        let made = statements("load_keys_ddl", "1, 'contact', '{email}', false");
        let indexes: Vec<_> = made
            .iter()
            .filter_map(|s| s.split(" ON ").next()?.rsplit(' ').next())
            .collect();
        assert_eq!(
            indexes[1..],
            [
                "sys_open_i_1",
                "sys_open_q_1",
                "sys_due_email_1",
                "sys_callback_email_1"
            ]
        );
        let made = statements("claim_index_ddl", "'x\"; --', 7, 'call'");
        assert!(made[0].starts_with(
            "CREATE INDEX IF NOT EXISTS sys_due_call_list_7 ON outbound_list.\"x\"\"; --\" (sys_due_call, sys_id)"
        ));
        assert_eq!(
            problem("SELECT outbound.claim_index_ddl('x', 7, 'fax')"),
            "22023|there is no conversation type \"fax\"||Use call, email or social_media."
        );
    }

    #[pg_test]
    fn a_part_is_contact_or_detail() {
        assert_eq!(
            problem("SELECT outbound.load_keys_ddl(1, 'other', '{}', false)"),
            "22023|a load has no part \"other\"||Use contact or detail."
        );
    }
}

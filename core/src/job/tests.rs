//! What must hold for the rules of a job.
#![allow(clippy::unwrap_used)]

use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

fn document() -> Value {
    json!({
        "action": "import_file",
        "connection": {
            "server": "partner", "user": "acme", "authentication": "password",
            "password_secret": "partner_password", "directory": "in"
        },
        "files": {"operation": "contains", "name": "contacts"},
        "append_type": "new_list_only",
        "columns": [
            {"name": "id"},
            {"name": "phone", "contact": {"type": "phone", "inbox": "Voice"}}
        ],
        "identifier": "id"
    })
}

/// The document with one value, named by its JSON pointer, replaced or added.
fn with(pointer: &str, value: Value) -> Value {
    let mut changed = document();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    match changed.pointer_mut(parent).unwrap() {
        Value::Object(map) => {
            map.insert(key.to_owned(), value);
        }
        Value::Array(list) => list[key.parse::<usize>().unwrap()] = value,
        _ => unreachable!("{pointer} is inside neither an object nor an array"),
    }
    changed
}

fn without(pointer: &str) -> Value {
    let mut changed = document();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let parent = changed.pointer_mut(parent).unwrap();
    parent.as_object_mut().unwrap().remove(key).unwrap();
    changed
}

fn refused(document: &Value) -> RuleError {
    JobRules::parse(document, Source::Server).unwrap_err()
}

#[test]
fn what_is_left_out_has_its_documented_default() {
    let rules = JobRules::parse(&document(), Source::Server).unwrap();
    let files = rules.files.unwrap();
    assert!(files.delete_after_import && !files.ignore_duplicates && !files.case_sensitive);
    assert_eq!(files.settle_seconds, 60);
    assert_eq!(rules.format.delimiter, ',');
    assert_eq!(rules.format.character_set, None);
    assert!(!rules.encryption.required && !rules.encryption.require_signature);
    assert_eq!(rules.encryption.max_ratio, 200);
    assert_eq!(rules.encryption.max_bytes, 17_179_869_184);
    assert_eq!(rules.max_rejected, None);
    assert!(!rules.connection.unwrap().trace);
}

#[test]
fn the_whole_documented_shape_is_accepted() {
    let whole = json!({
        "action": "import_file",
        "connection": {"server": "partner", "user": "acme", "authentication": "key_and_password",
                       "password_secret": "p", "directory": "", "trace": true},
        "files": {"operation": "not_matches", "name": "*.txt", "case_sensitive": true,
                  "ignore_duplicates": true, "delete_after_import": false,
                  "move_after_import_to": "done", "settle_seconds": 0},
        "format": {"type": "csv", "delimiter": "\t", "character_set": "windows-1252"},
        "encryption": {"required": true, "require_signature": true, "max_ratio": 10,
                       "max_bytes": 1},
        "append_type": "append_and_update",
        "target_list": "VIP «Київ»",
        "columns": [{"name": "e-mail", "type": "text",
                     "contact": {"type": "email", "inbox": "Mail"}}],
        "identifier": "E-Mail", "contact_name": "email", "close_if_all": true,
        "max_rejected": {"share": 0.05}
    });
    let rules = JobRules::parse(&whole, Source::Server).unwrap();
    assert_eq!(
        rules.files.as_ref().unwrap().disposal(),
        Disposal::MoveTo("done")
    );
    assert_eq!(rules.list_spec(&[]).check(), Ok(()));
}

#[test]
fn unknown_fields_are_named_with_their_path() {
    for (pointer, field) in [
        ("/colour", "colour"),
        ("/connection/password", "connection.password"),
        ("/files/pattern", "files.pattern"),
        ("/columns/1/kind", "columns[1].kind"),
        ("/columns/1/contact/channel", "columns[1].contact.channel"),
    ] {
        let error = refused(&with(pointer, json!("x")));
        assert_eq!(error.field, field);
        assert_eq!(error.message, "is not known");
        assert!(error.hint.contains("known here: "), "{}", error.hint);
    }
    let error = refused(&with("/format", json!({"separator": ";"})));
    assert_eq!(error.field, "format.separator");
    let error = refused(&with("/encryption", json!({"on": true})));
    assert_eq!(error.field, "encryption.on");
}

#[test]
fn missing_fields_are_named_with_their_path() {
    for (pointer, field) in [
        ("/action", "action"),
        ("/append_type", "append_type"),
        ("/connection", "connection"),
        ("/connection/server", "connection.server"),
        ("/connection/authentication", "connection.authentication"),
        ("/files", "files"),
        ("/files/name", "files.name"),
        ("/columns/0/name", "columns[0].name"),
        ("/columns/1/contact/type", "columns[1].contact.type"),
    ] {
        let error = refused(&without(pointer));
        assert_eq!(
            (error.field.as_str(), error.message.as_str()),
            (field, "is missing")
        );
    }
}

#[test]
fn values_of_a_wrong_kind_are_named_with_their_path() {
    for (pointer, value, field, part) in [
        (
            "/action",
            json!("export"),
            "action",
            "unknown action \"export\": use one of import_file",
        ),
        ("/append_type", json!(1), "append_type", "expected a string"),
        (
            "/connection",
            json!("partner"),
            "connection",
            "expected an object",
        ),
        (
            "/connection/trace",
            json!("yes"),
            "connection.trace",
            "expected a boolean",
        ),
        (
            "/files/operation",
            json!("like"),
            "files.operation",
            "use one of equals, contains",
        ),
        (
            "/files/settle_seconds",
            json!(-1),
            "files.settle_seconds",
            "-1",
        ),
        (
            "/columns/1/type",
            json!("int"),
            "columns[1].type",
            "unknown column type \"int\"",
        ),
        (
            "/columns/1/contact/type",
            json!("fax"),
            "columns[1].contact.type",
            "unknown unit type",
        ),
    ] {
        let error = refused(&with(pointer, value));
        assert_eq!(error.field, field);
        assert!(error.message.contains(part), "{}", error.message);
    }
    assert_eq!(refused(&json!([])).field, "");
    assert!(
        refused(&json!("x"))
            .message
            .contains("an object with the rules of a job")
    );
    let error = refused(&with("/format", json!({"character_set": "utf-16"})));
    assert_eq!(error.field, "format.character_set");
    let error = refused(&with("/format", json!({"delimiter": "::"})));
    assert_eq!(error.field, "format.delimiter");
    let error = refused(&with("/max_rejected", json!({"percent": 5})));
    assert_eq!(error.field, "max_rejected");
    assert!(error.hint.contains("{\"share\": 0.05}"));
    let error = refused(&with("/files/settle_seconds", json!("soon")));
    assert!(error.message.ends_with("expected a whole number from 0"));
}

#[test]
fn contradictions_are_named_with_their_path() {
    for (pointer, value, field) in [
        ("/connection/server", json!(" "), "connection.server"),
        ("/connection/user", json!("a\nb"), "connection.user"),
        (
            "/connection/directory",
            json!("a\u{0}"),
            "connection.directory",
        ),
        (
            "/connection/authentication",
            json!("key"),
            "connection.password_secret",
        ),
        (
            "/connection/password_secret",
            json!(null),
            "connection.password_secret",
        ),
        (
            "/connection/password_secret",
            json!("../x"),
            "connection.password_secret",
        ),
        (
            "/connection/password_secret",
            json!(".x"),
            "connection.password_secret",
        ),
        ("/files/name", json!(""), "files.name"),
        (
            "/files/move_after_import_to",
            json!(""),
            "files.move_after_import_to",
        ),
        (
            "/files/move_after_import_to",
            json!("../in"),
            "files.move_after_import_to",
        ),
        (
            "/files/settle_seconds",
            json!(86_401),
            "files.settle_seconds",
        ),
        ("/format", json!({"delimiter": "\""}), "format.delimiter"),
        ("/format", json!({"delimiter": "a"}), "format.delimiter"),
        (
            "/encryption",
            json!({"require_signature": true}),
            "encryption.require_signature",
        ),
        (
            "/encryption",
            json!({"max_ratio": 0}),
            "encryption.max_ratio",
        ),
        (
            "/encryption",
            json!({"max_bytes": 0}),
            "encryption.max_bytes",
        ),
        ("/target_list", json!(""), "target_list"),
        ("/target_list", json!("a\u{0}"), "target_list"),
        ("/columns", json!([]), "columns"),
        ("/columns", json!([{"name": "id"}]), "columns"),
        ("/columns/1/name", json!("ID"), "columns[1].name"),
        (
            "/columns/1/contact",
            json!({"type": "phone"}),
            "columns[1].contact.inbox",
        ),
        ("/max_rejected", json!({"share": 1.5}), "max_rejected.share"),
        (
            "/max_rejected",
            json!({"share": -0.1}),
            "max_rejected.share",
        ),
    ] {
        let error = refused(&with(pointer, value));
        assert_eq!(error.field, field, "{pointer}: {error}");
        assert!(!error.message.is_empty() && !error.hint.is_empty());
    }
}

#[test]
fn a_job_that_only_appends_needs_no_columns_and_then_no_roles() {
    let append = |extra: Value| {
        let mut document = document();
        let map = document.as_object_mut().unwrap();
        map.remove("columns");
        map.remove("identifier");
        map.insert("append_type".to_owned(), json!("append_only"));
        map.extend(extra.as_object().unwrap().clone());
        JobRules::parse(&document, Source::Server)
    };
    assert!(append(json!({})).is_ok());
    for (extra, field) in [
        (json!({"identifier": "id"}), "identifier"),
        (json!({"contact_name": "name"}), "contact_name"),
        (json!({"close_if_all": true}), "close_if_all"),
    ] {
        assert_eq!(append(extra).unwrap_err().field, field);
    }
}

#[test]
fn units_of_a_do_not_contact_list_have_a_target_and_no_inbox() {
    let good = json!({
        "action": "import_suppression", "append_type": "append_only",
        "target_suppression_list": "Opted out",
        "columns": [{"name": "phone", "contact": {"type": "phone"}}]
    });
    let with = |key: &str, value: Value| {
        let mut changed = good.clone();
        changed[key] = value;
        JobRules::parse(&changed, Source::Local)
    };
    assert!(with("append_type", json!("flush_and_append")).is_ok());
    assert!(with("columns", json!([])).is_ok());
    let inbox = json!([{"name": "phone", "contact": {"type": "phone", "inbox": "Voice"}}]);
    for (key, value, field) in [
        (
            "target_suppression_list",
            json!(null),
            "target_suppression_list",
        ),
        (
            "target_suppression_list",
            json!(" "),
            "target_suppression_list",
        ),
        ("append_type", json!("new_list_only"), "append_type"),
        ("append_type", json!("append_and_update"), "append_type"),
        ("target_list", json!("Customers"), "target_list"),
        ("identifier", json!("phone"), "identifier"),
        ("contact_name", json!("phone"), "contact_name"),
        ("close_if_all", json!(true), "close_if_all"),
        ("columns", inbox, "columns[0].contact.inbox"),
        ("columns", json!([{"name": "phone"}]), "columns"),
        ("action", json!("import_file"), "target_suppression_list"),
    ] {
        let error = with(key, value).unwrap_err();
        assert_eq!(error.field, field, "{error}");
        assert!(!error.hint.is_empty());
    }
}

#[test]
fn a_local_file_has_neither_connection_nor_files() {
    let local = |document: &Value| JobRules::parse(document, Source::Local);
    assert_eq!(local(&document()).unwrap_err().field, "connection");
    assert_eq!(local(&without("/connection")).unwrap_err().field, "files");
    let mut rules = without("/connection");
    rules.as_object_mut().unwrap().remove("files");
    assert!(local(&rules).is_ok());
    assert_eq!(refused(&rules).field, "connection");
}

#[test]
fn moving_wins_over_removal() {
    let disposal = |document: Value| {
        let rules = JobRules::parse(&document, Source::Server).unwrap();
        match rules.files.unwrap().disposal() {
            Disposal::Delete => "delete".to_owned(),
            Disposal::MoveTo(directory) => format!("move to {directory}"),
            Disposal::Leave => "leave".to_owned(),
        }
    };
    assert_eq!(disposal(document()), "delete");
    assert_eq!(
        disposal(with("/files/delete_after_import", json!(false))),
        "leave"
    );
    assert_eq!(
        disposal(with("/files/move_after_import_to", json!("done"))),
        "move to done"
    );
}

#[test]
fn limits_of_refused_rows_are_exceeded_only_beyond_them() {
    assert!(!MaxRejected::Rows(100).exceeded(100, 100));
    assert!(MaxRejected::Rows(100).exceeded(101, 1_000_000));
    assert!(MaxRejected::Rows(0).exceeded(1, 1));
    assert!(!MaxRejected::Share(0.05).exceeded(5, 100));
    assert!(MaxRejected::Share(0.05).exceeded(6, 100));
    assert!(!MaxRejected::Share(0.0).exceeded(0, 0));
    assert!(!MaxRejected::Share(1.0).exceeded(7, 7));
}

#[test]
fn secrets_that_were_typed_by_mistake_are_not_repeated() {
    let error = refused(&with("/connection/password_secret", json!("hunter2 !")));
    assert!(!format!("{error} {}", error.hint).contains("hunter2"));
}

fn any_rules() -> impl Strategy<Value = JobRules> {
    let pick = |list| prop::sample::select(list);
    (
        (
            pick(AppendType::ALL),
            prop::sample::select(NameOperator::ALL),
            any::<[bool; 6]>(),
        ),
        prop::option::of("[a-zA-Zі ]{1,20}[a-z]"),
        prop::option::of("[a-z/]{0,10}[a-z]"),
        0..=86_400_u32,
        prop::sample::select(&[',', ';', '|', ':', '\t'][..]),
        (1..u64::MAX, 1..u64::MAX),
        prop::option::of(prop_oneof![
            any::<u64>().prop_map(MaxRejected::Rows),
            (0.0..=1.0).prop_map(MaxRejected::Share),
        ]),
    )
        .prop_map(
            |(
                (append_type, operation, flags),
                list,
                directory,
                seconds,
                delimiter,
                limits,
                max_rejected,
            )| {
                let [case, ignore, delete, sign, close, trace] = flags;
                let mut rules = JobRules::parse(&document(), Source::Server).unwrap();
                rules.append_type = append_type;
                rules.target_list = list;
                rules.close_if_all = close;
                rules.format.delimiter = delimiter;
                rules.encryption = EncryptionRules {
                    required: sign,
                    require_signature: sign,
                    max_ratio: limits.0,
                    max_bytes: limits.1,
                };
                rules.max_rejected = max_rejected;
                if let Some(files) = &mut rules.files {
                    files.operation = operation;
                    files.case_sensitive = case;
                    files.ignore_duplicates = ignore;
                    files.delete_after_import = delete;
                    files.move_after_import_to = directory;
                    files.settle_seconds = seconds;
                }
                if let Some(connection) = &mut rules.connection {
                    connection.trace = trace;
                }
                rules
            },
        )
}

proptest! {
    #[test]
    fn rules_read_back_as_they_were_written(rules in any_rules()) {
        let written = serde_json::to_value(&rules).unwrap();
        prop_assert_eq!(JobRules::parse(&written, Source::Server), Ok(rules));
    }

    #[test]
    fn no_text_in_place_of_a_value_makes_reading_panic(
        pointer in prop::sample::select(&["/action", "/append_type", "/target_list", "/columns",
            "/columns/0/name", "/connection/user", "/files/name", "/identifier", "/format"][..]),
        text in any::<String>(),
    ) {
        let _ = JobRules::parse(&with(pointer, json!(text)), Source::Server);
    }
}

#[test]
fn a_file_makes_the_declared_columns_and_every_other_one_as_text() {
    let mut rules = JobRules::parse(&with("/identifier", json!("client")), Source::Server).unwrap();
    rules.contact_name = None;
    let header = ["Phone", "city", "id"].map(str::to_owned);
    let spec = rules.list_spec(&header);
    let names: Vec<&str> = spec
        .columns
        .iter()
        .map(|column| column.name.as_str())
        .collect();
    assert_eq!(
        names,
        ["phone", "city", "id", "client"],
        "a role the header lacks comes last"
    );
    assert!(spec.columns[0].contact.is_some());
    assert_eq!(spec.check(), Ok(()));
}

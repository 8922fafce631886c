//! What must hold for the settings of a campaign.
#![allow(clippy::unwrap_used)]

use super::*;
use proptest::prelude::*;

fn settings(document: &Value) -> Result<CampaignSettings, DocumentError> {
    CampaignSettings::parse(&json!({}), document)
}

fn whole() -> Value {
    json!({
        "always_active": true,
        "filter": {"any": [{"all": [{"field": "balance", "operator": "greater_than", "value": 100}]}]},
        "order": [{"column": "balance", "direction": "desc"}],
        "priority": -3,
        "max_per_minute": 60, "max_in_progress": 10, "max_queued": 5,
        "waiting_hours": 24, "on_waiting_over": "retry", "unknown_outcome": "close",
        "pending_is_busy": true, "lease_seconds": 10, "lease_started_seconds": 86_400,
        "subject": "Hello {{Name}}", "message": "two\nlines", "handover": "Team A"
    })
}

#[test]
fn what_is_left_out_has_its_documented_default() {
    let defaults = settings(&json!({})).unwrap();
    assert_eq!(defaults, CampaignSettings::default());
    assert_eq!(
        serde_json::to_value(&defaults).unwrap(),
        json!({
            "always_active": false, "filter": null, "order": [], "priority": 0,
            "max_per_minute": null, "max_in_progress": null, "max_queued": null,
            "waiting_hours": 72, "on_waiting_over": "close", "unknown_outcome": null,
            "pending_is_busy": false, "lease_seconds": 120, "lease_started_seconds": 900,
            "subject": null, "message": null, "handover": null
        })
    );
}

#[test]
fn every_setting_is_kept_as_given() {
    let given = settings(&whole()).unwrap();
    assert_eq!(serde_json::to_value(&given).unwrap(), whole());
    assert_eq!(given.on_waiting_over, Afterwards::Retry);
    assert_eq!(given.unknown_outcome, Some(Afterwards::Close));
    assert_eq!(
        serde_json::from_value::<CampaignSettings>(whole()).unwrap(),
        given
    );
}

#[test]
fn a_filter_and_an_order_are_stored_in_full() {
    let given = settings(&json!({
        "filter": {"field": "city", "operator": "equal", "value": "Kyiv"}, "order": [{"column": "Balance"}]
    }))
    .unwrap();
    let written = serde_json::to_value(&given).unwrap();
    let city = json!({"field": "city", "operator": "equal", "value": "Kyiv"});
    assert_eq!(written["filter"], json!({"any": [{"all": [city]}]}));
    assert_eq!(
        written["order"],
        json!([{"column": "Balance", "direction": "asc"}])
    );
}

#[test]
fn a_change_keeps_what_it_does_not_name_and_null_resets() {
    let change = json!({
        "filter": {"field": "city", "operator": "is_empty"}, "order": null, "waiting_hours": null, "priority": 9
    });
    let changed = CampaignSettings::parse(&whole(), &change).unwrap();
    let written = serde_json::to_value(&changed).unwrap();
    assert_eq!(
        written["filter"],
        json!({"any": [{"all": [{"field": "city", "operator": "is_empty"}]}]})
    );
    assert_eq!(written["order"], json!([]));
    assert_eq!((changed.waiting_hours, changed.priority), (72, 9));
    assert_eq!(changed.max_per_minute, Some(60));
    let none = CampaignSettings::parse(&whole(), &json!({"filter": null})).unwrap();
    assert_eq!(none.filter, None);
}

#[test]
fn each_mistake_names_its_field() {
    for (document, field) in [
        (json!(null), ""),
        (json!("x"), ""),
        (json!({"always_activ": true}), "always_activ"),
        (json!({"always_activ": null}), "always_activ"),
        (json!({"always_active": "yes"}), "always_active"),
        (json!({"filter": "balance > 1"}), "filter"),
        (json!({"filter": []}), "filter"),
        (json!({"filter": {}}), "filter"),
        (
            json!({"filter": {"any": [{"all": [{"field": "a", "operator": "is"}]}]}}),
            "filter.any[0].all[0].operator",
        ),
        (json!({"order": "balance"}), "order"),
        (json!({"order": {"column": "balance"}}), "order"),
        (
            json!({"order": [{"column": "a", "direction": "up"}]}),
            "order[0].direction",
        ),
        (json!({"priority": 1.5}), "priority"),
        (json!({"max_per_minute": 0}), "max_per_minute"),
        (json!({"max_per_minute": 1_000_001}), "max_per_minute"),
        (json!({"max_in_progress": -1}), "max_in_progress"),
        (json!({"max_queued": "5"}), "max_queued"),
        (json!({"waiting_hours": 0}), "waiting_hours"),
        (json!({"waiting_hours": 8_761}), "waiting_hours"),
        (json!({"on_waiting_over": "wait"}), "on_waiting_over"),
        (json!({"unknown_outcome": 1}), "unknown_outcome"),
        (json!({"pending_is_busy": 1}), "pending_is_busy"),
        (json!({"lease_seconds": 9}), "lease_seconds"),
        (
            json!({"lease_started_seconds": 86_401}),
            "lease_started_seconds",
        ),
        (json!({"subject": "a\r\nBcc: x@example.org"}), "subject"),
        (json!({"subject": " "}), "subject"),
        (json!({"message": ""}), "message"),
        (json!({"message": "x".repeat(100_001)}), "message"),
        (json!({"handover": ["a"]}), "handover"),
        (json!({"calendar": 1}), "calendar"),
        (json!({"calendar": ""}), "calendar"),
        (json!({"attempt_control": {}}), "attempt_control"),
        (json!({"attempt_control": "a\u{7}"}), "attempt_control"),
        (json!({"do_not_contact": "one"}), "do_not_contact"),
        (json!({"do_not_contact": ["one", 2]}), "do_not_contact[1]"),
        (
            json!({"do_not_contact": ["one", "two", "one"]}),
            "do_not_contact[2]",
        ),
    ] {
        let error = CampaignDocument::parse(&json!({}), &document).unwrap_err();
        assert_eq!(error.field, field, "{error}");
        assert!(!error.hint.is_empty(), "{error}");
    }
}

#[test]
fn names_of_what_it_uses_belong_to_the_document_and_not_to_the_settings() {
    let named =
        json!({"calendar": "Office «Київ»", "attempt_control": null, "do_not_contact": ["b", "a"]});
    let document = CampaignDocument::parse(&json!({"attempt_control": "Gentle"}), &named).unwrap();
    assert_eq!(document.calendar.as_deref(), Some("Office «Київ»"));
    assert_eq!(document.attempt_control, None);
    assert_eq!(document.do_not_contact, ["b", "a"]);
    assert_eq!(document.settings, CampaignSettings::default());
    let written = serde_json::to_value(&document).unwrap();
    assert_eq!(
        CampaignDocument::parse(&json!({}), &written),
        Ok(document.clone())
    );
    assert_eq!(written["do_not_contact"], json!(["b", "a"]));
    assert_eq!(written["lease_seconds"], json!(120));
    assert_eq!(settings(&named).unwrap_err().field, "attempt_control");
}

proptest! {
    #[test]
    fn whatever_is_accepted_is_stored_and_read_back(
        paces in prop::array::uniform3(prop::option::of(-1_i64..2_000_000)),
        lease in prop::option::of(0_i64..100_000),
        subject in prop::option::of(".{0,20}"),
        choice in prop::option::of(prop::sample::select(vec!["retry", "close", "other"])),
    ) {
        let document = json!({
            "max_per_minute": paces[0], "max_in_progress": paces[1], "max_queued": paces[2],
            "lease_seconds": lease, "subject": subject, "unknown_outcome": choice,
        });
        if let Ok(read) = settings(&document) {
            let written = serde_json::to_value(&read).unwrap();
            prop_assert_eq!(settings(&written), Ok(read.clone()));
            prop_assert_eq!(CampaignSettings::parse(&written, &json!({})), Ok(read));
        }
    }
}

//! The settings of the account as an SQL function: what core could not use is not stored.

use outbound_core::account::AccountChange;
use pgrx::JsonB;
use pgrx::prelude::*;

use crate::error::{invalid, own_document};

/// Checks settings of the account (`name`, `default_country`, `character_set`, `time_zone`; any may be
/// absent or null) and returns all four in the form in which they are stored, null where none was given.
///
/// # Errors
/// Raises `invalid_parameter_value` with a hint for the first setting that no import could use.
#[pg_extern(immutable, parallel_safe)]
#[search_path(pg_catalog, pg_temp)]
pub fn check_account(settings: JsonB) -> JsonB {
    let given: AccountChange = own_document("the settings of the account", settings.0);
    match given.canonical() {
        Ok(AccountChange {
            name,
            default_country,
            character_set,
            time_zone,
        }) => JsonB(serde_json::json!({
            "name": name, "default_country": default_country,
            "character_set": character_set, "time_zone": time_zone,
        })),
        Err(error) => invalid(error.message, "", &error.hint),
    }
}

#[cfg(any(test, feature = "pg_test"))]
#[pg_schema]
mod tests {
    use pgrx::prelude::*;

    use crate::testing::{problem, value};

    #[pg_test]
    fn settings_come_back_as_they_are_stored() {
        assert!(value::<bool>(
            r#"SELECT outbound.check_account('{"default_country": "ua", "character_set": "latin1", "time_zone": null}')
                = '{"name": null, "default_country": "UA", "character_set": "iso-8859-1", "time_zone": null}'"#
        ));
    }

    #[pg_test]
    fn a_setting_that_no_import_could_use_is_refused_with_a_hint() {
        assert_eq!(
            problem(r#"SELECT outbound.check_account('{"default_country": "UK"}')"#),
            "22023|default country \"UK\" is not known||Use the two-letter code of ISO 3166, such as GB for the United Kingdom."
        );
        assert!(
            problem(r#"SELECT outbound.check_account('{"time_zone": "posix/Europe/Kyiv"}')"#)
                .starts_with("22023|time zone \"posix/Europe/Kyiv\" is not known||")
        );
    }
}

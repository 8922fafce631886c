//! The settings of the account that decide how text is read (list-automation §4.3, §4.7 T-9).
//!
//! One database is one account. The worker receives these settings together with a run.

use std::fmt;
use std::str::FromStr;

use chrono_tz::Tz;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

use crate::UnknownName;
use crate::identifier::check_display_name;
use crate::unit::UnitRules;

/// How the bytes of a file become text (list-automation §4.3 H-1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum CharacterSet {
    /// UTF-8; what cannot be decoded becomes U+FFFD and is reported (H-5).
    Utf8,
    /// ISO 8859-1, the documented default; every byte is a character.
    #[default]
    Iso8859_1,
    /// Windows-1252; every byte is a character, five of them control characters.
    Windows1252,
}

impl CharacterSet {
    /// The name as stored and shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Utf8 => "utf-8",
            Self::Iso8859_1 => "iso-8859-1",
            Self::Windows1252 => "windows-1252",
        }
    }
}

impl fmt::Display for CharacterSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for CharacterSet {
    type Err = UnknownName;

    /// Case, `-`, `_` and spaces are ignored; `latin1` and `cp1252` are known as well.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let key: String = text
            .chars()
            .filter(|c| !matches!(c, '-' | '_' | ' '))
            .map(|c| c.to_ascii_lowercase())
            .collect();
        match key.as_str() {
            "utf8" => Ok(Self::Utf8),
            "iso88591" | "latin1" => Ok(Self::Iso8859_1),
            "windows1252" | "cp1252" => Ok(Self::Windows1252),
            _ => Err(UnknownName {
                what: "character set",
                given: text.to_owned(),
                allowed: "utf-8, iso-8859-1, windows-1252".to_owned(),
            }),
        }
    }
}

impl Serialize for CharacterSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for CharacterSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The account's settings, as the database hands them to the worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Readable name of the account.
    pub name: String,
    /// ISO 3166 code of the country whose calling code a phone without one gets (T-2).
    pub default_country: String,
    /// Character set of files that say nothing else.
    pub character_set: CharacterSet,
    /// IANA zone in which local times of a file are read.
    pub time_zone: Tz,
}

/// Settings that someone wants to change, as typed; `None` stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AccountChange {
    /// Readable name of the account.
    pub name: Option<String>,
    /// ISO 3166 code of a country with a numbering plan.
    pub default_country: Option<String>,
    /// Name of a character set.
    pub character_set: Option<String>,
    /// Name of a zone of the IANA database.
    pub time_zone: Option<String>,
}

/// A setting that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct SettingError {
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: String,
}

impl AccountChange {
    /// The settings in the form in which they are stored: the country in upper case, the character
    /// set by its own name, the zone as the IANA database writes it, the name as given.
    ///
    /// # Errors
    /// [`SettingError`] for the first setting that no import could use.
    pub fn canonical(&self) -> Result<Self, SettingError> {
        if let Some(name) = &self.name {
            check_display_name(name).map_err(|bad| SettingError {
                message: format!("this cannot be the name of the account: {bad}"),
                hint: "Choose a name of 1 to 255 visible characters.".to_owned(),
            })?;
        }
        Ok(Self {
            name: self.name.clone(),
            default_country: self.default_country.as_deref().map(country).transpose()?,
            character_set: self
                .character_set
                .as_deref()
                .map(character_set)
                .transpose()?,
            time_zone: self.time_zone.as_deref().map(time_zone).transpose()?,
        })
    }
}

fn country(given: &str) -> Result<String, SettingError> {
    let code = given.trim().to_ascii_uppercase();
    if code.len() == 2 && UnitRules::new(&code).is_ok() {
        return Ok(code);
    }
    let example = match code.as_str() {
        "UK" => "GB for the United Kingdom",
        "EL" => "GR for Greece",
        _ => "US or UA",
    };
    Err(SettingError {
        message: format!("default country \"{given}\" is not known"),
        hint: format!("Use the two-letter code of ISO 3166, such as {example}."),
    })
}

fn character_set(given: &str) -> Result<String, SettingError> {
    given
        .parse()
        .map(|known: CharacterSet| known.as_str().to_owned())
        .map_err(|unknown: UnknownName| SettingError {
            message: format!("character set \"{given}\" is not known"),
            hint: format!("Use one of {}.", unknown.allowed),
        })
}

fn time_zone(given: &str) -> Result<String, SettingError> {
    given
        .trim()
        .parse()
        .map(|zone: Tz| zone.name().to_owned())
        .map_err(|_| SettingError {
            message: format!("time zone \"{given}\" is not known"),
            hint: "Use a name of the IANA database, in its spelling, such as Europe/Kyiv or UTC."
                .to_owned(),
        })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn country(code: &str) -> AccountChange {
        AccountChange {
            default_country: Some(code.to_owned()),
            ..AccountChange::default()
        }
    }

    fn set(name: &str) -> AccountChange {
        AccountChange {
            character_set: Some(name.to_owned()),
            ..AccountChange::default()
        }
    }

    fn zone(name: &str) -> AccountChange {
        AccountChange {
            time_zone: Some(name.to_owned()),
            ..AccountChange::default()
        }
    }

    fn name(name: &str) -> AccountChange {
        AccountChange {
            name: Some(name.to_owned()),
            ..AccountChange::default()
        }
    }

    #[test]
    fn settings_are_returned_as_they_are_stored() {
        for (given, stored) in [
            (AccountChange::default(), AccountChange::default()),
            (country(" ua "), country("UA")),
            (set("Latin1"), set("iso-8859-1")),
            (set("UTF8"), set("utf-8")),
            (set("cp1252"), set("windows-1252")),
            (zone("Europe/Kyiv"), zone("Europe/Kyiv")),
            (zone("UTC"), zone("UTC")),
            (name("ACME «Київ»"), name("ACME «Київ»")),
        ] {
            assert_eq!(given.canonical(), Ok(stored));
        }
    }

    #[test]
    fn what_no_import_could_use_is_refused_with_what_to_do() {
        for (given, hint) in [
            (country("UK"), "ISO 3166, such as GB"),
            (country("XX"), "ISO 3166"),
            (country("001"), "ISO 3166"),
            (country(""), "ISO 3166"),
            (set("koi8-r"), "utf-8, iso-8859-1, windows-1252"),
            (zone("Factory"), "IANA"),
            (zone("posix/Europe/Kyiv"), "IANA"),
            (zone("europe/kyiv"), "IANA"),
            (zone(""), "IANA"),
            (name(" "), "visible"),
            (name("a\u{7}b"), "visible"),
        ] {
            let error = given.canonical().unwrap_err();
            assert!(error.hint.contains(hint), "{given:?}: {error:?}");
        }
    }
}

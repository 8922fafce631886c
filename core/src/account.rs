//! The settings of the account that decide how text is read (list-automation §4.3, §4.7 T-9).
//!
//! One database is one account. The worker receives these settings together with a run.

use std::fmt;
use std::str::FromStr;

use chrono_tz::Tz;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::UnknownName;

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

//! Communication units: phones, e-mail addresses and the rest, in canonical form.
//!
//! Two cells that mean the same device have the same canonical form, so that a device is stored
//! once in a contact, matched against suppression lists, and found again at the next import
//! (contact-lists §2.3, §2.5; list-automation §4.7).
//!
//! | type | canonical form |
//! |---|---|
//! | `phone` | E.164 with a leading `+`, then `;ext=N` when an extension was given |
//! | `email` | trimmed, syntax checked, domain in lower case |
//! | `conversation_id`, `messenger_id`, `username` | trimmed, 1 to 128 characters, no control characters |

mod email;
mod phone;

use rlibphonenumber::{PHONE_NUMBER_UTIL, Region};
use thiserror::Error;

use crate::text_enum::text_enum;

/// Longest unit that is neither phone nor e-mail, in characters (list-automation §4.5).
pub const MAX_UNIT_CHARS: usize = 128;

text_enum! {
    /// Type of a communication unit (contact-lists §2.3).
    pub enum UnitType("unit type") {
        /// A phone number, in E.164 form.
        Phone = "phone",
        /// An e-mail address.
        Email = "email",
        /// The identifier of an existing conversation.
        ConversationId = "conversation_id",
        /// The identifier of a person in a messenger.
        MessengerId = "messenger_id",
        /// The name of a person in a messenger.
        Username = "username",
    }
}

text_enum! {
    /// Type of a conversation; an inbox belongs to exactly one (contact-lists §1).
    pub enum ConversationType("conversation type") {
        /// Telephone calls.
        Call = "call",
        /// E-mail.
        Email = "email",
        /// Messengers and social networks.
        SocialMedia = "social_media",
    }
}

impl ConversationType {
    /// Its bit in a set of conversation types: 1, 2 or 4.
    #[must_use]
    pub const fn bit(self) -> i16 {
        1 << self as i16
    }
}

impl UnitType {
    /// What people call such a unit.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Phone => "phone number",
            Self::Email => "e-mail address",
            Self::ConversationId => "conversation id",
            Self::MessengerId => "messenger id",
            Self::Username => "user name",
        }
    }
}

/// A text that is no unit of its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a valid {unit_type}: expected {expected}")]
pub struct BadUnit {
    /// The type that was asked for.
    pub unit_type: UnitType,
    /// What would have been accepted.
    pub expected: &'static str,
}

/// A country that has no numbering plan.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("unknown country \"{given}\": use a two-letter ISO 3166 code such as US or UA")]
pub struct UnknownCountry {
    /// The text as given.
    pub given: String,
}

/// Brings units into canonical form, with the account's country for phones that name none.
#[derive(Debug, Clone, Copy)]
pub struct UnitRules {
    country: Region,
}

impl UnitRules {
    /// Rules with the account's country, a two-letter ISO 3166 code in any case
    /// (list-automation §4.7 T-2, T-9).
    ///
    /// # Errors
    /// [`UnknownCountry`] when no numbering plan belongs to `default_country`.
    pub fn new(default_country: &str) -> Result<Self, UnknownCountry> {
        Region::from_code(&default_country.trim().to_ascii_uppercase())
            .ok()
            .filter(|&region| {
                PHONE_NUMBER_UTIL
                    .get_country_code_for_region(region)
                    .is_some()
            })
            .map(|country| Self { country })
            .ok_or_else(|| UnknownCountry {
                given: default_country.to_owned(),
            })
    }

    /// Appends the canonical form of `raw` to `out`.
    ///
    /// # Errors
    /// [`BadUnit`] when `raw` is no unit of that type; `out` is then as before.
    pub fn normalize_into(
        &self,
        unit_type: UnitType,
        raw: &str,
        out: &mut String,
    ) -> Result<(), BadUnit> {
        let (accepted, expected) = match unit_type {
            UnitType::Phone => (
                phone::normalize_into(raw, self.country, out),
                "a phone number that exists in its country's numbering plan, \
                 with + and the country code unless it is of the account's country",
            ),
            UnitType::Email => (
                email::normalize_into(raw, out),
                "an e-mail address such as name@example.com",
            ),
            UnitType::ConversationId | UnitType::MessengerId | UnitType::Username => (
                plain_into(raw, out),
                "1 to 128 characters without control characters",
            ),
        };
        if accepted {
            Ok(())
        } else {
            Err(BadUnit {
                unit_type,
                expected,
            })
        }
    }
}

fn plain_into(raw: &str, out: &mut String) -> bool {
    let text = raw.trim();
    // The length in bytes settles most cells without counting characters.
    let fits = text.len() <= MAX_UNIT_CHARS || text.chars().count() <= MAX_UNIT_CHARS;
    if text.is_empty() || !fits || text.chars().any(char::is_control) {
        return false;
    }
    out.push_str(text);
    true
}

/// Whether units of a type can be reached from an inbox of a type (contact-lists §2.3, inbox
/// validity): phones by call or by a messenger keyed by phone number, e-mail by e-mail, messenger
/// users by social media. The inbox of a conversation is the conversation's own, so any fits.
#[must_use]
pub const fn inbox_fits(unit_type: UnitType, conversation_type: ConversationType) -> bool {
    match unit_type {
        UnitType::Phone => matches!(
            conversation_type,
            ConversationType::Call | ConversationType::SocialMedia
        ),
        UnitType::Email => matches!(conversation_type, ConversationType::Email),
        UnitType::MessengerId | UnitType::Username => {
            matches!(conversation_type, ConversationType::SocialMedia)
        }
        UnitType::ConversationId => true,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use proptest::prelude::*;

    fn canonical(unit_type: UnitType, raw: &str) -> Result<String, BadUnit> {
        let mut out = String::new();
        UnitRules::new("GB")
            .unwrap()
            .normalize_into(unit_type, raw, &mut out)
            .map(|()| out)
    }

    #[test]
    fn a_country_is_two_letters_with_a_numbering_plan() {
        assert!(UnitRules::new("US").is_ok());
        assert!(UnitRules::new(" ua ").is_ok());
        for bad in ["", "U", "USA", "ZZ", "XX", "1", "Україна"] {
            let error = UnitRules::new(bad).unwrap_err();
            assert_eq!(error.given, bad);
        }
    }

    #[test]
    fn names_and_identifiers_are_trimmed_and_bounded() {
        for unit_type in [
            UnitType::ConversationId,
            UnitType::MessengerId,
            UnitType::Username,
        ] {
            assert_eq!(canonical(unit_type, "  Ann.17 ").unwrap(), "Ann.17");
            assert!(canonical(unit_type, " ").is_err());
            assert!(canonical(unit_type, "a\u{0}b").is_err());
            assert!(canonical(unit_type, &"я".repeat(128)).is_ok());
            assert!(canonical(unit_type, &"я".repeat(129)).is_err());
        }
    }

    #[test]
    fn the_canonical_form_is_appended_and_a_bad_unit_leaves_the_text_as_it_was() {
        let rules = UnitRules::new("GB").unwrap();
        let mut out = String::from("x");
        rules
            .normalize_into(UnitType::Email, "A@B.org", &mut out)
            .unwrap();
        assert_eq!(out, "xA@b.org");
        let error = rules
            .normalize_into(UnitType::Phone, "12", &mut out)
            .unwrap_err();
        assert_eq!(out, "xA@b.org");
        assert!(error.to_string().starts_with("not a valid phone: expected"));
    }

    #[test]
    fn inboxes_fit_as_documented() {
        use ConversationType::{Call, Email, SocialMedia};
        let fits = |unit_type| {
            ConversationType::ALL
                .iter()
                .copied()
                .filter(|&c| inbox_fits(unit_type, c))
                .collect::<Vec<_>>()
        };
        assert_eq!(fits(UnitType::Phone), [Call, SocialMedia]);
        assert_eq!(fits(UnitType::Email), [Email]);
        assert_eq!(fits(UnitType::MessengerId), [SocialMedia]);
        assert_eq!(fits(UnitType::Username), [SocialMedia]);
        assert_eq!(fits(UnitType::ConversationId), [Call, Email, SocialMedia]);
    }

    fn any_unit_type() -> impl Strategy<Value = UnitType> {
        prop::sample::select(UnitType::ALL)
    }

    proptest! {
        #[test]
        fn no_text_makes_normalising_panic(unit_type in any_unit_type(), raw in any::<String>()) {
            let _ = canonical(unit_type, &raw);
        }

        #[test]
        fn what_is_canonical_stays_as_it_is(
            unit_type in any_unit_type(),
            raw in "[ +0-9().xa-zA-Z@;=#\u{e9}\u{130}_-]{0,40}",
        ) {
            if let Ok(once) = canonical(unit_type, &raw) {
                let twice = canonical(unit_type, &once);
                prop_assert_eq!(twice.as_deref(), Ok(once.as_str()));
            }
        }
    }
}

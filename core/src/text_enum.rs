//! Enumerations that people read and write as text: in job rules, in SQL and in reports.
//!
//! One macro writes the enumeration and its four conversions, so that the text of a variant
//! stands in exactly one place.

use thiserror::Error;

/// A text that is none of an enumeration's names.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("unknown {what} \"{given}\": use one of {allowed}")]
pub struct UnknownName {
    /// What kind of thing was to be named, for example "unit type".
    pub what: &'static str,
    /// The text as given.
    pub given: String,
    /// The names that are known, separated by commas.
    pub allowed: String,
}

/// Defines an enumeration with `ALL`, `as_str`, `Display`, `FromStr` and serde as text.
macro_rules! text_enum {
    (
        $(#[$meta:meta])*
        pub enum $name:ident ($what:literal) {
            $( $(#[$variant_meta:meta])* $variant:ident = $text:literal ),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $( $(#[$variant_meta])* $variant ),+
        }

        impl $name {
            /// Every variant, in the order of the documentation.
            pub const ALL: &'static [Self] = &[ $( Self::$variant ),+ ];

            /// The text of this variant, as stored and shown.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $( Self::$variant => $text ),+
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::text_enum::UnknownName;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $( $text => Ok(Self::$variant), )+
                    _ => Err($crate::text_enum::UnknownName {
                        what: $what,
                        given: text.to_owned(),
                        allowed: [ $( $text ),+ ].join(", "),
                    }),
                }
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

pub(crate) use text_enum;

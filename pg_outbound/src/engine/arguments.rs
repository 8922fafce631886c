//! Moments that calls are given.

use outbound_core::machine::Micros;
use outbound_core::machine::gate::shown;
use pgrx::prelude::*;

use super::spi;
use crate::error::{given, invalid};

/// A moment that must be given.
pub fn moment(name: &str, at: Option<TimestampWithTimeZone>) -> Micros {
    spi::moment(given(name, at))
}

/// Refuses a moment that is not in the future.
///
/// # Errors
/// Raises `invalid_parameter_value`.
pub fn future(what: &str, moment: Micros, at: Micros) {
    if moment <= at || moment == i64::MAX {
        invalid(
            format!("{what} cannot be at {}", shown(moment)),
            &format!("The call was made at {}.", shown(at)),
            "Give a moment in the future.",
        );
    }
}

//! Settings (GUCs) of the extension, all in one place. The prefix `pg_outbound` is reserved, so a
//! misspelt setting is reported. No setting holds a secret.

use std::ffi::CString;

use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting};

/// Databases whose periodic duties the background worker does, separated by commas.
pub static DATABASES: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);

/// Seconds between two rounds of the periodic duties.
pub static MAINTAIN_EVERY: GucSetting<i32> = GucSetting::<i32>::new(15);

/// Defines the settings; called once when the library is loaded.
pub fn define() {
    GucRegistry::define_string_guc(
        c"pg_outbound.databases",
        c"Databases in which the background worker calls outbound.maintain(), separated by commas.",
        c"Empty: none. Needs pg_outbound in shared_preload_libraries. Takes effect on reload.",
        &DATABASES,
        GucContext::Sighup,
        GucFlags::default(),
    );
    GucRegistry::define_int_guc(
        c"pg_outbound.maintain_every",
        c"Seconds between two calls of outbound.maintain() by the background worker.",
        c"From 1 to 3600. Takes effect on reload.",
        &MAINTAIN_EVERY,
        1,
        3600,
        GucContext::Sighup,
        GucFlags::UNIT_S,
    );
    // SAFETY: called from _PG_init with a static, NUL-terminated string.
    unsafe { pgrx::pg_sys::MarkGUCPrefixReserved(c"pg_outbound".as_ptr()) };
}

//! Outbound contact lists in PostgreSQL: the extension's entry point.
//!
//! The rules are in `core/`, tables and set-based functions in `sql/`; this crate binds the two to
//! Postgres. Each module wraps one subject of `core/` as SQL functions, makes the DDL of the list
//! tables, or runs the background worker. The order of the install script is fixed here, in
//! [`install_script`].

use pgrx::prelude::*;

pgrx::pg_module_magic!();

mod account;
mod background;
mod campaigns;
mod codes;
mod conditions;
mod contacts;
mod engine;
mod error;
mod files;
mod install_script;
mod list_ddl;
mod lists;
mod rules;
mod schedules;
mod settings;
mod suppression;
#[cfg(any(test, feature = "pg_test"))]
mod testing;

/// Called by Postgres when the library is loaded: settings always, the background worker only when
/// the server starts with the library preloaded.
#[allow(non_snake_case)]
#[pg_guard]
pub extern "C-unwind" fn _PG_init() {
    settings::define();
    background::register();
}

/// Version of the loaded library: what a worker compares its own with.
#[pg_extern(immutable, parallel_safe)]
#[search_path(pg_catalog, pg_temp)]
fn extension_version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

#[cfg(test)]
pub mod pg_test {
    //! Options of the test harness.

    /// Called once before the tests.
    pub fn setup(_options: Vec<&str>) {}

    /// Settings of the throw-away server.
    #[must_use]
    pub fn postgresql_conf_options() -> Vec<&'static str> {
        vec![]
    }
}

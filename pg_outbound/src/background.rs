//! The background worker: no rules, only "call `outbound.maintain()` now and then".
//!
//! A launcher, started with the server, holds no database connection. Each round it starts one
//! short-lived worker for each database in `pg_outbound.databases`; that worker looks whether the
//! extension is there, calls the procedure that people can call by hand, and is gone. So no idle
//! connection blocks `DROP DATABASE`, and a failure in one database costs one round in that database.

use std::time::Duration;

use pgrx::PgMemoryContexts;
use pgrx::bgworkers::{BackgroundWorker, BackgroundWorkerBuilder, SignalWakeFlags};
use pgrx::pg_sys::panic::CaughtError;
use pgrx::prelude::*;

use crate::error::raise;
use crate::settings;

/// Registers the launcher, when the library is loaded at server start.
pub fn register() {
    // SAFETY: a plain read of a flag that Postgres sets before it loads preloaded libraries.
    if !unsafe { pg_sys::process_shared_preload_libraries_in_progress } {
        return;
    }
    BackgroundWorkerBuilder::new("pg_outbound launcher")
        .set_function("outbound_launcher_main")
        .set_library("pg_outbound")
        .enable_shmem_access(None)
        .set_restart_time(Some(Duration::from_secs(5)))
        .load();
}

/// Main function of the launcher.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn outbound_launcher_main(_arg: pg_sys::Datum) {
    BackgroundWorker::attach_signal_handlers(SignalWakeFlags::SIGHUP | SignalWakeFlags::SIGTERM);
    loop {
        let pause = u64::try_from(settings::MAINTAIN_EVERY.get()).unwrap_or(1);
        if !BackgroundWorker::wait_latch(Some(Duration::from_secs(pause))) {
            break;
        }
        if BackgroundWorker::sighup_received() {
            // SAFETY: at top level of the worker, outside any transaction.
            unsafe { pg_sys::ProcessConfigFile(pg_sys::GucContext::PGC_SIGHUP) };
        }
        for database in databases() {
            let started = BackgroundWorkerBuilder::new(&format!("pg_outbound maintain {database}"))
                .set_function("outbound_maintain_main")
                .set_library("pg_outbound")
                .enable_spi_access()
                .set_extra(&database)
                .set_restart_time(None)
                .load_dynamic();
            if started.is_err() {
                log!(
                    "pg_outbound: no free worker slot for database {database}; raise max_worker_processes"
                );
            }
        }
    }
}

/// Names in `pg_outbound.databases`.
fn databases() -> Vec<String> {
    settings::DATABASES
        .get()
        .and_then(|text| text.into_string().ok())
        .unwrap_or_default()
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Main function of a worker: one round of the periodic duties in one database.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn outbound_maintain_main(_arg: pg_sys::Datum) {
    BackgroundWorker::attach_signal_handlers(SignalWakeFlags::SIGHUP | SignalWakeFlags::SIGTERM);
    BackgroundWorker::connect_worker_to_spi(Some(BackgroundWorker::get_extra()), None);
    let installed = BackgroundWorker::transaction(|| {
        Spi::get_one::<bool>(
            "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_extension WHERE extname = 'pg_outbound') AND NOT pg_catalog.pg_is_in_recovery()",
        )
    });
    if matches!(installed, Ok(Some(true))) {
        PgTryBuilder::new(call_maintain)
            .catch_others(raise_plainly)
            .execute();
    }
}

/// Raises an error again as Postgres raised it: on its way through Rust its DETAIL got a backtrace, where
/// the server's environment asks for one.
fn raise_plainly(caught: CaughtError) {
    match caught {
        CaughtError::PostgresError(report) => raise(
            report.sql_error_code(),
            report.message().to_owned(),
            report.detail().unwrap_or_default(),
            report.hint().unwrap_or_default(),
        ),
        other => other.rethrow(),
    }
}

/// `CALL outbound.maintain()` as a client would send it: through a portal at top level, which is what
/// lets the procedure commit after each duty.
fn call_maintain() {
    let command = c"CALL outbound.maintain()";
    // The parsed statement has to outlive the transactions that the procedure ends.
    let mut context = PgMemoryContexts::new("pg_outbound maintain");
    // SAFETY: the worker is connected and in no transaction; the statement is constant; everything made
    // here lives in `context` or in the portal's own. An error unwinds out of the worker, which Postgres
    // logs and cleans up; the launcher starts another in the next round.
    unsafe {
        pg_sys::SetCurrentStatementStartTimestamp();
        pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_RUNNING, command.as_ptr());
        pg_sys::StartTransactionCommand();
        let planned = context.switch_to(|_| {
            let parsed = pg_sys::list_nth(pg_sys::pg_parse_query(command.as_ptr()), 0)
                .cast::<pg_sys::RawStmt>();
            pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
            let rewritten = pg_sys::pg_analyze_and_rewrite_fixedparams(
                parsed,
                command.as_ptr(),
                std::ptr::null(),
                0,
                std::ptr::null_mut(),
            );
            let planned =
                pg_sys::pg_plan_queries(rewritten, command.as_ptr(), 0, std::ptr::null_mut());
            pg_sys::PopActiveSnapshot();
            planned
        });
        let portal = pg_sys::CreatePortal(c"".as_ptr(), true, true);
        (*portal).visible = false;
        pg_sys::PortalDefineQuery(
            portal,
            std::ptr::null(),
            command.as_ptr(),
            pg_sys::CommandTag::CMDTAG_CALL,
            planned,
            std::ptr::null_mut(),
        );
        pg_sys::PortalStart(portal, std::ptr::null_mut(), 0, std::ptr::null_mut());
        let nowhere = pg_sys::CreateDestReceiver(pg_sys::CommandDest::DestNone);
        let everything = core::ffi::c_long::MAX;
        #[cfg(not(feature = "pg18"))]
        pg_sys::PortalRun(
            portal,
            everything,
            true,
            true,
            nowhere,
            nowhere,
            std::ptr::null_mut(),
        );
        #[cfg(feature = "pg18")]
        pg_sys::PortalRun(
            portal,
            everything,
            true,
            nowhere,
            nowhere,
            std::ptr::null_mut(),
        );
        pg_sys::PortalDrop(portal, false);
        pg_sys::CommitTransactionCommand();
        pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_IDLE, std::ptr::null());
    }
}

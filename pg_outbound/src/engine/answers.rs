//! The answers of the dialers' calls, as rows.
//!
//! A call hands its rows over as a whole: Postgres sets the rights and the settings of a function anew for
//! every row of an answer that comes row by row.

use pgrx::callconv::{BoxRet, FcInfo};
use pgrx::{PgSqlErrorCode, pg_sys};

use crate::error::raise;

/// A value of a row; none is null.
pub type Value = Option<pg_sys::Datum>;

/// Rows whose values are those of the columns that the function is declared to return. The declarations are
/// in `sql/28_dialer.sql`.
#[derive(Debug, Default)]
pub struct Answers(Vec<Vec<Value>>);

impl Answers {
    /// Adds a row; its values are in the memory of the call.
    pub fn add<const COLUMNS: usize>(&mut self, row: [Value; COLUMNS]) {
        self.0.push(row.to_vec());
    }
}

// SAFETY: the rows are copied into a tuplestore that Postgres owns, in the form that it was asked for.
unsafe impl BoxRet for Answers {
    unsafe fn box_into<'fcx>(self, fcinfo: &mut FcInfo<'fcx>) -> pgrx::datum::Datum<'fcx> {
        // SAFETY: Postgres calls a function that returns rows with the place for them.
        unsafe {
            let call = fcinfo.as_mut_ptr();
            pg_sys::InitMaterializedSRF(call, 0);
            let place = (*call).resultinfo.cast::<pg_sys::ReturnSetInfo>();
            let declared = (*(*place).setDesc).natts;
            for row in self.0 {
                if usize::try_from(declared) != Ok(row.len()) {
                    raise(
                        PgSqlErrorCode::ERRCODE_DATATYPE_MISMATCH,
                        format!(
                            "the function is declared with {declared} columns, and answers {}",
                            row.len()
                        ),
                        "The extension's library and its SQL are of different versions.",
                        "Run ALTER EXTENSION pg_outbound UPDATE, and start a new session.",
                    );
                }
                let mut nulls: Vec<bool> = row.iter().map(Option::is_none).collect();
                let mut values: Vec<pg_sys::Datum> = row
                    .into_iter()
                    .map(|value| value.unwrap_or(pg_sys::Datum::null()))
                    .collect();
                pg_sys::tuplestore_putvalues(
                    (*place).setResult,
                    (*place).setDesc,
                    values.as_mut_ptr(),
                    nulls.as_mut_ptr(),
                );
            }
            fcinfo.return_null()
        }
    }
}

// SAFETY: the declarations of the functions are written by hand; this is what they say.
unsafe impl pgrx::pgrx_sql_entity_graph::metadata::SqlTranslatable for Answers {
    const TYPE_IDENT: &'static str = pgrx::pgrx_resolved_type!(Answers);
    const TYPE_ORIGIN: pgrx::pgrx_sql_entity_graph::metadata::TypeOrigin =
        pgrx::pgrx_sql_entity_graph::metadata::TypeOrigin::External;
    const ARGUMENT_SQL: Result<
        pgrx::pgrx_sql_entity_graph::metadata::SqlMappingRef,
        pgrx::pgrx_sql_entity_graph::metadata::ArgumentError,
    > = Ok(pgrx::pgrx_sql_entity_graph::metadata::SqlMappingRef::literal("record"));
    const RETURN_SQL: Result<
        pgrx::pgrx_sql_entity_graph::metadata::ReturnsRef,
        pgrx::pgrx_sql_entity_graph::metadata::ReturnsError,
    > = Ok(pgrx::pgrx_sql_entity_graph::metadata::ReturnsRef::One(
        pgrx::pgrx_sql_entity_graph::metadata::SqlMappingRef::literal("record"),
    ));
}

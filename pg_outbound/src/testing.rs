//! What the tests of several modules need. Each test runs inside a server, in a transaction that is
//! rolled back.

#![allow(
    clippy::expect_used,
    reason = "a test stops at the first surprise; clippy knows only modules of cargo's own tests"
)]

use pgrx::prelude::*;

/// The only row and column of a query; a null fails the test.
pub fn value<T: FromDatum + IntoDatum>(query: &str) -> T {
    Spi::get_one(query).expect(query).expect("not null")
}

/// Runs a statement that must not fail.
pub fn run(statement: &str) {
    Spi::run(statement).expect(statement);
}

/// What a statement raises, as `SQLSTATE|message|DETAIL|HINT`.
pub fn problem(statement: &str) -> String {
    run(
        "CREATE OR REPLACE FUNCTION pg_temp.problem(statement text) RETURNS text LANGUAGE plpgsql AS $$
         DECLARE state text; said text; detail text; hint text;
         BEGIN
             EXECUTE statement;
             RETURN 'no error';
         EXCEPTION WHEN OTHERS THEN
             GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, said = MESSAGE_TEXT,
                 detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
             RETURN concat_ws('|', state, said, detail, hint);
         END $$",
    );
    Spi::get_one_with_args("SELECT pg_temp.problem($1)", &[statement.into()])
        .expect(statement)
        .expect("not null")
}

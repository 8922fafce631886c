//! Statements planned once a session, with arrays as arguments and rows as plain values.
//!
//! The text of a statement is its key: it holds the names of one list's tables, and everything else is a
//! parameter. pgrx's own client converts value by value and plans at every call, which is more than the
//! whole rest of a claim costs; so this module speaks to SPI itself, and is the only one that does.

use std::cell::RefCell;
use std::collections::HashMap;

use outbound_core::machine::Micros;
use pgrx::prelude::*;
use pgrx::{FromDatum, IntoDatum, pg_sys};

use crate::error::raise;

/// Plans kept in a session; the least used half is given up when there are more.
const MOST_PLANS: usize = 1_000;

/// Microseconds from the Unix epoch to the one that Postgres counts from.
const POSTGRES_EPOCH: Micros = 946_684_800_000_000;

struct Plan {
    pointer: pg_sys::SPIPlanPtr,
    used: u64,
}

thread_local! {
    static PLANS: RefCell<(HashMap<String, Plan>, u64)> = RefCell::new((HashMap::new(), 0));
}

/// An argument of a statement.
#[derive(Debug)]
pub enum Arg<'a> {
    /// `bigint`
    Int8(i64),
    /// `integer`
    Int4(i32),
    /// `smallint`
    Int2(i16),
    /// `boolean`
    Boolean(bool),
    /// `"char"`
    Char(u8),
    /// `text`
    Text(&'a str),
    /// `timestamptz`
    Time(Micros),
    /// `bigint[]`
    Int8s(Vec<Option<i64>>),
    /// `integer[]`
    Int4s(Vec<Option<i32>>),
    /// `smallint[]`
    Int2s(Vec<Option<i16>>),
    /// `boolean[]`
    Booleans(Vec<Option<bool>>),
    /// `"char"[]`
    Chars(Vec<Option<u8>>),
    /// `text[]`
    Texts(Vec<Option<&'a str>>),
    /// `timestamptz[]`
    Times(Vec<Option<Micros>>),
    /// `tid[]`
    Places(Vec<Place>),
}

/// Where a row is stored, good as long as its lock is held.
#[derive(Debug, Clone, Copy, Default)]
pub struct Place(pg_sys::ItemPointerData);

impl Place {
    /// The place that Postgres names.
    #[must_use]
    pub const fn of(place: pg_sys::ItemPointerData) -> Self {
        Self(place)
    }

    /// As Postgres takes it.
    #[must_use]
    pub const fn raw(self) -> pg_sys::ItemPointerData {
        self.0
    }
}

impl PartialEq for Place {
    fn eq(&self, other: &Self) -> bool {
        let parts = |of: &Self| (of.0.ip_blkid.bi_hi, of.0.ip_blkid.bi_lo, of.0.ip_posid);
        parts(self) == parts(other)
    }
}

impl Arg<'_> {
    const fn type_oid(&self) -> pg_sys::Oid {
        match self {
            Self::Int8(_) => pg_sys::INT8OID,
            Self::Int4(_) => pg_sys::INT4OID,
            Self::Int2(_) => pg_sys::INT2OID,
            Self::Boolean(_) => pg_sys::BOOLOID,
            Self::Char(_) => pg_sys::CHAROID,
            Self::Text(_) => pg_sys::TEXTOID,
            Self::Time(_) => pg_sys::TIMESTAMPTZOID,
            Self::Int8s(_) => pg_sys::INT8ARRAYOID,
            Self::Int4s(_) => pg_sys::INT4ARRAYOID,
            Self::Int2s(_) => pg_sys::INT2ARRAYOID,
            Self::Booleans(_) => pg_sys::BOOLARRAYOID,
            Self::Chars(_) => pg_sys::CHARARRAYOID,
            Self::Texts(_) => pg_sys::TEXTARRAYOID,
            Self::Times(_) => pg_sys::TIMESTAMPTZARRAYOID,
            Self::Places(_) => pg_sys::TIDARRAYOID,
        }
    }

    /// As Postgres takes it, in the current memory context.
    pub fn datum(&self) -> pg_sys::Datum {
        match self {
            Self::Int8(value) => pg_sys::Datum::from(*value),
            Self::Int4(value) => pg_sys::Datum::from(*value),
            Self::Int2(value) => pg_sys::Datum::from(*value),
            Self::Boolean(value) => pg_sys::Datum::from(*value),
            Self::Char(value) => pg_sys::Datum::from(usize::from(*value)),
            Self::Text(value) => text_datum(value),
            Self::Time(value) => time_datum(*value),
            Self::Int8s(values) => array(
                values.iter().map(|v| v.map(pg_sys::Datum::from)),
                pg_sys::INT8OID,
                (8, true, b'd'),
            ),
            Self::Int4s(values) => array(
                values.iter().map(|v| v.map(pg_sys::Datum::from)),
                pg_sys::INT4OID,
                (4, true, b'i'),
            ),
            Self::Int2s(values) => array(
                values.iter().map(|v| v.map(pg_sys::Datum::from)),
                pg_sys::INT2OID,
                (2, true, b's'),
            ),
            Self::Booleans(values) => array(
                values.iter().map(|v| v.map(pg_sys::Datum::from)),
                pg_sys::BOOLOID,
                (1, true, b'c'),
            ),
            Self::Chars(values) => array(
                values
                    .iter()
                    .map(|v| v.map(|c| pg_sys::Datum::from(c as usize))),
                pg_sys::CHAROID,
                (1, true, b'c'),
            ),
            Self::Texts(values) => array(
                values.iter().map(|v| v.map(text_datum)),
                pg_sys::TEXTOID,
                (-1, false, b'i'),
            ),
            Self::Times(values) => array(
                values.iter().map(|v| v.map(time_datum)),
                pg_sys::TIMESTAMPTZOID,
                (8, true, b'd'),
            ),
            Self::Places(places) => array(
                places
                    .iter()
                    .map(|place| Some(pg_sys::Datum::from(&raw const place.0))),
                pg_sys::TIDOID,
                (6, false, b's'),
            ),
        }
    }
}

fn text_datum(text: &str) -> pg_sys::Datum {
    // A text always becomes a datum.
    text.into_datum().unwrap_or(pg_sys::Datum::null())
}

fn time_datum(moment: Micros) -> pg_sys::Datum {
    pg_sys::Datum::from(to_postgres(moment))
}

/// A moment as Postgres counts it; the ends of the range stand for its infinities.
#[must_use]
pub const fn to_postgres(moment: Micros) -> i64 {
    match moment {
        i64::MAX | i64::MIN => moment,
        _ => moment.saturating_sub(POSTGRES_EPOCH),
    }
}

/// A moment of Postgres as microseconds since the Unix epoch.
#[must_use]
pub const fn from_postgres(moment: i64) -> Micros {
    match moment {
        i64::MAX | i64::MIN => moment,
        _ => moment.saturating_add(POSTGRES_EPOCH),
    }
}

/// The moment that a call was given.
///
/// # Errors
/// Raises `datetime_field_overflow` for an infinite one: records are planned by moments that come.
#[must_use]
pub fn moment(at: TimestampWithTimeZone) -> Micros {
    let at = from_postgres(i64::from(at));
    if at == i64::MAX || at == i64::MIN {
        raise(
            PgSqlErrorCode::ERRCODE_DATETIME_FIELD_OVERFLOW,
            "a moment cannot be infinite",
            "",
            "Give a date and a time.",
        );
    }
    at
}

/// A moment for a result column.
#[must_use]
pub fn timestamp(moment: Micros) -> Option<TimestampWithTimeZone> {
    // SAFETY: the datum of a timestamptz is its 64-bit count.
    unsafe { TimestampWithTimeZone::from_datum(time_datum(moment), false) }
}

/// A one-dimensional array in the current memory context.
fn array(
    values: impl Iterator<Item = Option<pg_sys::Datum>>,
    element: pg_sys::Oid,
    (length, by_value, align): (i32, bool, u8),
) -> pg_sys::Datum {
    let (mut nulls, mut datums) = (Vec::new(), Vec::new());
    for value in values {
        nulls.push(value.is_none());
        datums.push(value.unwrap_or(pg_sys::Datum::null()));
    }
    let mut dimensions = [i32::try_from(datums.len()).unwrap_or(i32::MAX)];
    let mut lower_bounds = [1];
    // SAFETY: both vectors have as many elements as the dimension says, and outlive the call, which copies.
    let array = unsafe {
        if datums.is_empty() {
            pg_sys::construct_empty_array(element)
        } else {
            pg_sys::construct_md_array(
                datums.as_mut_ptr(),
                nulls.as_mut_ptr(),
                1,
                dimensions.as_mut_ptr(),
                lower_bounds.as_mut_ptr(),
                element,
                length,
                by_value,
                align.cast_signed(),
            )
        }
    };
    pg_sys::Datum::from(array)
}

/// One row of an answer, to be read while the statement's rows are at hand.
#[derive(Debug)]
pub struct Row<'a> {
    values: &'a [pg_sys::Datum],
    nulls: &'a [bool],
}

impl<'a> Row<'a> {
    /// A row of these values, and which of them are null.
    #[must_use]
    pub const fn of(values: &'a [pg_sys::Datum], nulls: &'a [bool]) -> Self {
        Self { values, nulls }
    }

    /// A value as it is.
    #[must_use]
    pub fn datum(&self, column: usize) -> Option<pg_sys::Datum> {
        match self.nulls.get(column) {
            Some(false) => self.values.get(column).copied(),
            _ => None,
        }
    }

    /// A `bigint`.
    #[must_use]
    pub fn int8(&self, column: usize) -> Option<i64> {
        self.datum(column).map(|datum| datum.value() as i64)
    }

    /// A `smallint`.
    #[must_use]
    pub fn int2(&self, column: usize) -> Option<i16> {
        self.datum(column).map(|datum| datum.value() as i16)
    }

    /// An `integer`.
    #[must_use]
    pub fn int4(&self, column: usize) -> Option<i32> {
        self.datum(column).map(|datum| datum.value() as i32)
    }

    /// A `boolean`.
    #[must_use]
    pub fn boolean(&self, column: usize) -> Option<bool> {
        self.datum(column).map(|datum| datum.value() as u8 != 0)
    }

    /// A `"char"`.
    #[must_use]
    pub fn char(&self, column: usize) -> Option<u8> {
        self.datum(column).map(|datum| datum.value() as u8)
    }

    /// A `timestamptz`.
    #[must_use]
    pub fn time(&self, column: usize) -> Option<Micros> {
        self.int8(column).map(from_postgres)
    }

    /// A `tid`.
    #[must_use]
    pub fn place(&self, column: usize) -> Place {
        // SAFETY: the column is a tid, as the caller's statement says: a pointer into the row at hand.
        self.datum(column).map_or_else(Place::default, |datum| {
            Place(unsafe { *datum.cast_mut_ptr::<pg_sys::ItemPointerData>() })
        })
    }

    /// A `text`.
    #[must_use]
    pub fn text(&self, column: usize) -> Option<String> {
        let datum = self.datum(column)?;
        // SAFETY: the column is a text, as the caller's statement says.
        unsafe { String::from_polymorphic_datum(datum, false, pg_sys::TEXTOID) }
    }

    /// A `text`, looked at where it is.
    pub fn with_text<T>(&self, column: usize, look: impl FnOnce(&str) -> T) -> Option<T> {
        let datum = self.datum(column)?;
        // SAFETY: the column is a text, as the caller's statement says; it lives as long as the row.
        unsafe { <&str>::from_polymorphic_datum(datum, false, pg_sys::TEXTOID) }.map(look)
    }

    /// An `oid`, or the value of an enum.
    #[must_use]
    pub fn oid(&self, column: usize) -> Option<pg_sys::Oid> {
        self.datum(column)
            .map(|datum| pg_sys::Oid::from_u32(datum.value() as u32))
    }

    /// A `jsonb`, read.
    #[must_use]
    pub fn json(&self, column: usize) -> Option<serde_json::Value> {
        let datum = self.datum(column)?;
        // SAFETY: the column is a jsonb, as the caller's statement says.
        unsafe { pgrx::JsonB::from_datum(datum, false) }.map(|document| document.0)
    }
}

/// Runs a statement with a fresh snapshot and gives each row of its answer to `each`; returns how many rows
/// it returned or changed.
pub fn execute(statement: &str, args: &[Arg<'_>], each: impl FnMut(&Row<'_>)) -> u64 {
    run_plan(statement, args, false, each)
}

/// Runs a query with the snapshot of the statement that called, or of [`at_one_moment`].
pub fn look(query: &str, args: &[Arg<'_>], each: impl FnMut(&Row<'_>)) {
    run_plan(query, args, true, each);
}

fn run_plan(
    statement: &str,
    args: &[Arg<'_>],
    of_one_moment: bool,
    mut each: impl FnMut(&Row<'_>),
) -> u64 {
    let plan = plan(statement, args);
    let mut values: Vec<pg_sys::Datum> = args.iter().map(Arg::datum).collect();
    // SAFETY: the plan is kept and was made for these types; no argument is null, so no null flags are
    // needed. The rows are read before anything else runs in SPI, then freed.
    unsafe {
        let code = pg_sys::SPI_execute_plan(
            plan,
            values.as_mut_ptr(),
            std::ptr::null(),
            of_one_moment,
            0,
        );
        if code < 0 {
            broken("run", statement, code);
        }
        let (rows, count) = (pg_sys::SPI_tuptable, pg_sys::SPI_processed);
        if !rows.is_null() {
            let description = (*rows).tupdesc;
            let columns = usize::try_from((*description).natts).unwrap_or(0);
            let mut values = vec![pg_sys::Datum::null(); columns];
            let mut nulls = vec![false; columns];
            for i in 0..usize::try_from(count).unwrap_or(0) {
                pg_sys::heap_deform_tuple(
                    *(*rows).vals.add(i),
                    description,
                    values.as_mut_ptr(),
                    nulls.as_mut_ptr(),
                );
                each(&Row {
                    values: &values,
                    nulls: &nulls,
                });
            }
            pg_sys::SPI_freetuptable(rows);
        }
        count
    }
}

/// Runs a statement whose rows do not matter.
pub fn run(statement: &str, args: &[Arg<'_>]) -> u64 {
    execute(statement, args, |_| {})
}

/// Runs a statement that answers one row, or none.
pub fn one<T>(statement: &str, args: &[Arg<'_>], read: impl Fn(&Row<'_>) -> T) -> Option<T> {
    let mut found = None;
    execute(statement, args, |row| found = Some(read(row)));
    found
}

/// Everything that `work` looks at is as it is now.
pub fn at_one_moment<T>(work: impl FnOnce() -> T) -> T {
    // SAFETY: an error leaves the snapshot to the end of the transaction or of its part, as those of Postgres.
    unsafe { pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot()) };
    let done = work();
    // SAFETY: the one that was pushed.
    unsafe { pg_sys::PopActiveSnapshot() };
    done
}

/// Everything in `work` may use the functions of this module.
pub fn connected<T>(work: impl FnOnce() -> T) -> T {
    Spi::connect_mut(|_| work())
}

fn plan(statement: &str, args: &[Arg<'_>]) -> pg_sys::SPIPlanPtr {
    let known = PLANS.with_borrow_mut(|(plans, clock)| {
        *clock += 1;
        let now = *clock;
        plans.get_mut(statement).map(|plan| {
            plan.used = now;
            plan.pointer
        })
    });
    known.unwrap_or_else(|| prepare(statement, args))
}

fn prepare(statement: &str, args: &[Arg<'_>]) -> pg_sys::SPIPlanPtr {
    let text = std::ffi::CString::new(statement).unwrap_or_default();
    let mut types: Vec<pg_sys::Oid> = args.iter().map(Arg::type_oid).collect();
    // SAFETY: the text is NUL-terminated and the types are as many as said.
    let pointer = unsafe {
        let plan = pg_sys::SPI_prepare(
            text.as_ptr(),
            i32::try_from(types.len()).unwrap_or(0),
            types.as_mut_ptr(),
        );
        if plan.is_null() {
            broken("plan", statement, pg_sys::SPI_result);
        }
        pg_sys::SPI_keepplan(plan);
        plan
    };
    PLANS.with_borrow_mut(|(plans, clock)| {
        if plans.len() >= MOST_PLANS {
            give_up_half(plans);
        }
        plans.insert(
            statement.to_owned(),
            Plan {
                pointer,
                used: *clock,
            },
        );
    });
    pointer
}

fn give_up_half(plans: &mut HashMap<String, Plan>) {
    let mut uses: Vec<u64> = plans.values().map(|plan| plan.used).collect();
    uses.sort_unstable();
    let middle = uses.get(uses.len() / 2).copied().unwrap_or(0);
    plans.retain(|_, plan| {
        if plan.used > middle {
            return true;
        }
        // SAFETY: a kept plan that nobody runs at this moment: plans are given up only while one is made.
        unsafe { pg_sys::SPI_freeplan(plan.pointer) };
        false
    });
}

fn broken(what: &str, statement: &str, code: i32) -> ! {
    raise(
        PgSqlErrorCode::ERRCODE_INTERNAL_ERROR,
        format!("cannot {what} a statement of the engine: SPI code {code}"),
        statement,
        "This is a defect: please report it with this line.",
    )
}

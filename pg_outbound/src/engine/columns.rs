//! The values of a statement that writes many rows, column by column.
//!
//! Rows are written by one statement that has one array a column, or one value where all rows have the same;
//! rows that exist are changed in place, where the table allows it (`in_place`).

use outbound_core::machine::Micros;
use pgrx::pg_sys;

use super::in_place;
use super::rows;
use super::spi::{self, Arg, Place};

/// The values of one column, row by row.
#[derive(Debug)]
pub enum Values<'a> {
    /// `bigint`
    Int8(Vec<Option<i64>>),
    /// `integer`
    Int4(Vec<Option<i32>>),
    /// `smallint`
    Int2(Vec<Option<i16>>),
    /// `boolean`
    Boolean(Vec<Option<bool>>),
    /// `"char"`
    Char(Vec<Option<u8>>),
    /// `text`
    Text(Vec<Option<&'a str>>),
    /// `timestamptz`
    Time(Vec<Option<Micros>>),
}

impl<'a> Values<'a> {
    /// The value of a row, in the current memory context.
    pub fn datum(&self, row: usize) -> Option<pg_sys::Datum> {
        fn at<T: Copy>(values: &[Option<T>], row: usize) -> Option<T> {
            values.get(row).copied().flatten()
        }
        let arg = match self {
            Self::Int8(values) => Arg::Int8(at(values, row)?),
            Self::Int4(values) => Arg::Int4(at(values, row)?),
            Self::Int2(values) => Arg::Int2(at(values, row)?),
            Self::Boolean(values) => Arg::Boolean(at(values, row)?),
            Self::Char(values) => Arg::Char(at(values, row)?),
            Self::Text(values) => Arg::Text(at(values, row)?),
            Self::Time(values) => Arg::Time(at(values, row)?),
        };
        Some(arg.datum())
    }

    /// What a statement writes into the column.
    fn written(self) -> Written<'a> {
        fn split<'a, T: PartialEq + Copy>(
            values: Vec<Option<T>>,
            one: impl Fn(T) -> Arg<'a>,
            many: impl Fn(Vec<Option<T>>) -> Arg<'a>,
        ) -> Written<'a> {
            let first = values.first().copied().flatten();
            match (values.iter().all(|value| *value == first), first) {
                (true, None) => Written::Null,
                (true, Some(value)) => Written::Same(one(value)),
                (false, _) => Written::Each(many(values)),
            }
        }
        match self {
            Self::Int8(values) => split(values, Arg::Int8, Arg::Int8s),
            Self::Int4(values) => split(values, Arg::Int4, Arg::Int4s),
            Self::Int2(values) => split(values, Arg::Int2, Arg::Int2s),
            Self::Boolean(values) => split(values, Arg::Boolean, Arg::Booleans),
            Self::Char(values) => split(values, Arg::Char, Arg::Chars),
            Self::Text(values) => split(values, Arg::Text, Arg::Texts),
            Self::Time(values) => split(values, Arg::Time, Arg::Times),
        }
    }
}

/// The values of a column in a statement.
enum Written<'a> {
    Null,
    /// All rows have this one.
    Same(Arg<'a>),
    /// An array with one for each row.
    Each(Arg<'a>),
}

/// Columns with their values.
#[derive(Debug, Default)]
pub struct Columns<'a> {
    columns: Vec<(&'static str, Values<'a>)>,
    casts: Vec<(&'static str, &'static str)>,
}

impl<'a> Columns<'a> {
    /// Adds a column; all have as many values.
    pub fn set(&mut self, name: &'static str, values: Values<'a>) {
        self.columns.push((name, values));
    }

    /// Adds a column of texts that are inserted as values of another type.
    pub fn set_as(
        &mut self,
        name: &'static str,
        sql_type: &'static str,
        values: Vec<Option<&'a str>>,
    ) {
        self.casts.push((name, sql_type));
        self.set(name, Values::Text(values));
    }

    /// Changes the rows at these places, which stand in the order of the values; returns how many there were.
    pub fn update(self, table: &str, places: &[Place]) -> usize {
        if self.columns.is_empty() {
            return places.len();
        }
        in_place::update(table, places, &self.columns)
            .unwrap_or_else(|| self.update_by_statement(table, places))
    }

    /// The statement would write over what somebody else has changed since the rows were read.
    fn update_by_statement(self, table: &str, places: &[Place]) -> usize {
        let mut unchanged = 0;
        rows::lock(table, places, &[], |_, place| {
            unchanged += usize::from(places.get(unchanged) == Some(&place));
        });
        if unchanged != places.len() {
            return unchanged;
        }
        let mut statement = Statement::of(self);
        let place = statement.array(Arg::Places(places.to_vec()));
        let assignments: Vec<String> = statement
            .columns
            .iter()
            .map(|(name, expression)| format!("{name} = {expression}"))
            .collect();
        let changed = spi::run(
            &format!(
                "UPDATE ONLY {table} AS t SET {}, sys_updated_at = pg_catalog.now() FROM {} WHERE t.ctid = {place}",
                assignments.join(", "),
                statement.arrays()
            ),
            &statement.args,
        );
        usize::try_from(changed).unwrap_or(usize::MAX)
    }

    /// Inserts as many rows as there are values.
    pub fn insert(self, table: &str, rows: usize) {
        let mut statement = Statement::of(self);
        let source = if statement.arrays.is_empty() {
            statement
                .args
                .push(Arg::Int4(i32::try_from(rows).unwrap_or(0)));
            format!("pg_catalog.generate_series(1, ${})", statement.args.len())
        } else {
            statement.arrays()
        };
        let (names, expressions): (Vec<_>, Vec<_>) = statement.columns.into_iter().unzip();
        spi::run(
            &format!(
                "INSERT INTO {table} ({}) SELECT {} FROM {source}",
                names.join(", "),
                expressions.join(", ")
            ),
            &statement.args,
        );
    }
}

/// The parts of a statement that writes columns.
struct Statement<'a> {
    /// Names and expressions.
    columns: Vec<(&'static str, String)>,
    args: Vec<Arg<'a>>,
    /// Numbers of the arguments that are arrays with a value for each row.
    arrays: Vec<usize>,
}

impl<'a> Statement<'a> {
    fn of(columns: Columns<'a>) -> Self {
        let mut statement = Self {
            columns: Vec::new(),
            args: Vec::new(),
            arrays: Vec::new(),
        };
        for (name, values) in columns.columns {
            let expression = match values.written() {
                Written::Null => "NULL".to_owned(),
                Written::Same(arg) => {
                    statement.args.push(arg);
                    format!("${}", statement.args.len())
                }
                Written::Each(arg) => statement.array(arg),
            };
            let cast = columns.casts.iter().find(|(column, _)| *column == name);
            let expression = match cast {
                Some((_, sql_type)) => format!("{expression}::{sql_type}"),
                None => expression,
            };
            statement.columns.push((name, expression));
        }
        statement
    }

    /// Adds an array, and returns what names its value for a row.
    fn array(&mut self, arg: Arg<'a>) -> String {
        self.args.push(arg);
        self.arrays.push(self.args.len());
        format!("u.c{}", self.args.len())
    }

    /// All arrays as a relation.
    fn arrays(&self) -> String {
        let unnested: Vec<String> = self
            .arrays
            .iter()
            .map(|n| format!("unnest(${n})"))
            .collect();
        let columns: Vec<String> = self.arrays.iter().map(|n| format!("c{n}")).collect();
        format!(
            "ROWS FROM ({}) AS u ({})",
            unnested.join(", "),
            columns.join(", ")
        )
    }
}

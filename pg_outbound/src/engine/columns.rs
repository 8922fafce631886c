//! The values of a statement that writes many rows, column by column.
//!
//! Rows are inserted by one statement that has one array a column, or one value where all rows have the
//! same; rows that exist are changed in place (`rows`).

use outbound_core::machine::Micros;
use pgrx::pg_sys;

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

    /// What an INSERT says for the column: its expression, and the argument it needs, an array or a value.
    fn inserted(self, number: usize) -> (Inserted, Option<Arg<'a>>) {
        fn split<'a, T: PartialEq + Copy>(
            values: Vec<Option<T>>,
            number: usize,
            one: impl Fn(T) -> Arg<'a>,
            many: impl Fn(Vec<Option<T>>) -> Arg<'a>,
        ) -> (Inserted, Option<Arg<'a>>) {
            let first = values.first().copied().flatten();
            match (values.iter().all(|value| *value == first), first) {
                (true, None) => (Inserted::Null, None),
                (true, Some(value)) => (Inserted::Value(number), Some(one(value))),
                (false, _) => (Inserted::Array(number), Some(many(values))),
            }
        }
        match self {
            Self::Int8(values) => split(values, number, Arg::Int8, Arg::Int8s),
            Self::Int4(values) => split(values, number, Arg::Int4, Arg::Int4s),
            Self::Int2(values) => split(values, number, Arg::Int2, Arg::Int2s),
            Self::Boolean(values) => split(values, number, Arg::Boolean, Arg::Booleans),
            Self::Char(values) => split(values, number, Arg::Char, Arg::Chars),
            Self::Text(values) => split(values, number, Arg::Text, Arg::Texts),
            Self::Time(values) => split(values, number, Arg::Time, Arg::Times),
        }
    }
}

/// How an INSERT comes by the values of a column; numbers are those of arguments.
enum Inserted {
    Null,
    Value(usize),
    Array(usize),
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
    pub fn update(&self, table: &str, places: &[Place]) -> usize {
        if self.columns.is_empty() {
            return places.len();
        }
        rows::update(table, places, &self.columns)
    }

    /// Inserts as many rows as there are values.
    pub fn insert(self, table: &str, rows: usize) {
        let (mut names, mut expressions) = (Vec::new(), Vec::new());
        let (mut args, mut arrays) = (Vec::new(), Vec::new());
        for (name, values) in self.columns {
            let (inserted, arg) = values.inserted(args.len() + 1);
            args.extend(arg);
            let expression = match inserted {
                Inserted::Null => "NULL".to_owned(),
                Inserted::Value(number) => format!("${number}"),
                Inserted::Array(number) => {
                    arrays.push(number);
                    format!("u.c{number}")
                }
            };
            let cast = self.casts.iter().find(|(column, _)| *column == name);
            expressions.push(match cast {
                Some((_, sql_type)) => format!("{expression}::{sql_type}"),
                None => expression,
            });
            names.push(name);
        }
        let source = if arrays.is_empty() {
            args.push(Arg::Int4(i32::try_from(rows).unwrap_or(0)));
            format!("pg_catalog.generate_series(1, ${})", args.len())
        } else {
            let unnested: Vec<String> = arrays.iter().map(|n| format!("unnest(${n})")).collect();
            let columns: Vec<String> = arrays.iter().map(|n| format!("c{n}")).collect();
            format!(
                "ROWS FROM ({}) AS u ({})",
                unnested.join(", "),
                columns.join(", ")
            )
        };
        spi::run(
            &format!(
                "INSERT INTO {table} ({}) SELECT {} FROM {source}",
                names.join(", "),
                expressions.join(", ")
            ),
            &args,
        );
    }
}

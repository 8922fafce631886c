//! The columns of a statement that writes many rows: one array each, or one value where all rows have the
//! same, so that a batch costs what differs in it.

use outbound_core::machine::Micros;

use super::spi::{self, Arg, Place};

/// Columns with their values, row by row.
#[derive(Default)]
pub struct Columns<'a> {
    names: Vec<&'static str>,
    expressions: Vec<String>,
    args: Vec<Arg<'a>>,
    arrays: Vec<usize>,
}

impl<'a> Columns<'a> {
    /// `bigint` values.
    pub fn int8s(&mut self, name: &'static str, values: Vec<Option<i64>>) {
        self.add(name, values, Arg::Int8, Arg::Int8s);
    }

    /// `integer` values.
    pub fn int4s(&mut self, name: &'static str, values: Vec<i32>) {
        let values = values.into_iter().map(Some).collect();
        self.add(name, values, Arg::Int4, |values| {
            Arg::Int4s(values.into_iter().flatten().collect())
        });
    }

    /// `boolean` values.
    pub fn booleans(&mut self, name: &'static str, values: Vec<bool>) {
        let values = values.into_iter().map(Some).collect();
        self.add(name, values, Arg::Boolean, |values| {
            Arg::Booleans(values.into_iter().flatten().collect())
        });
    }

    /// `"char"` values.
    pub fn chars(&mut self, name: &'static str, values: Vec<Option<u8>>) {
        self.add(name, values, Arg::Char, Arg::Chars);
    }

    /// `text` values.
    pub fn texts(&mut self, name: &'static str, values: Vec<Option<&'a str>>) {
        self.add(name, values, Arg::Text, Arg::Texts);
    }

    /// `timestamptz` values.
    pub fn times(&mut self, name: &'static str, values: Vec<Option<Micros>>) {
        self.add(name, values, Arg::Time, Arg::Times);
    }

    /// Casts the column added last to a type.
    pub fn cast(&mut self, sql_type: &str) {
        if let Some(expression) = self.expressions.last_mut() {
            *expression = format!("{expression}::{sql_type}");
        }
    }

    fn add<T: PartialEq + Copy>(
        &mut self,
        name: &'static str,
        values: Vec<Option<T>>,
        one: impl Fn(T) -> Arg<'a>,
        many: impl Fn(Vec<Option<T>>) -> Arg<'a>,
    ) {
        let first = values.first().copied().flatten();
        let same = values.iter().all(|value| *value == first);
        self.names.push(name);
        self.expressions.push(match (same, first) {
            (true, None) => "NULL".to_owned(),
            (true, Some(value)) => {
                self.args.push(one(value));
                format!("${}", self.args.len())
            }
            (false, _) => {
                self.args.push(many(values));
                self.arrays.push(self.args.len());
                format!("u.c{}", self.args.len())
            }
        });
    }

    /// Adds the rows' places and returns the relation of all arrays, named `u`.
    fn relation(&mut self) -> String {
        let arrays: Vec<String> = self
            .arrays
            .iter()
            .map(|n| format!("unnest(${n})"))
            .collect();
        let names: Vec<String> = self.arrays.iter().map(|n| format!("c{n}")).collect();
        format!(
            "ROWS FROM ({}) AS u ({})",
            arrays.join(", "),
            names.join(", ")
        )
    }

    /// Updates the rows at these places, which stand in the order of the values; returns how many there were.
    pub fn update(mut self, table: &str, places: Vec<Place>) -> u64 {
        if self.names.is_empty() {
            return places.len() as u64;
        }
        let assignments: Vec<String> = self
            .names
            .iter()
            .zip(&self.expressions)
            .map(|(name, expression)| format!("{name} = {expression}"))
            .collect();
        self.args.push(Arg::Places(places));
        let place = self.args.len();
        self.arrays.push(place);
        let relation = self.relation();
        spi::run(
            &format!(
                "UPDATE {table} AS t SET {}, sys_updated_at = pg_catalog.now() FROM {relation} WHERE t.ctid = u.c{place}",
                assignments.join(", ")
            ),
            &self.args,
        )
    }

    /// Inserts as many rows as there are values.
    pub fn insert(mut self, table: &str, rows: usize) {
        let source = if self.arrays.is_empty() {
            self.args.push(Arg::Int4(i32::try_from(rows).unwrap_or(0)));
            format!("pg_catalog.generate_series(1, ${})", self.args.len())
        } else {
            self.relation()
        };
        spi::run(
            &format!(
                "INSERT INTO {table} ({}) SELECT {} FROM {source}",
                self.names.join(", "),
                self.expressions.join(", ")
            ),
            &self.args,
        );
    }
}

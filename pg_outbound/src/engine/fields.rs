//! The user's own columns of a contact as one `jsonb` object, put together by the types that the list's
//! definition names: `jsonb_build_object` looks the type of every argument up, row by row.

use outbound_core::value::ColumnType;
use pgrx::pg_sys;
use pgrx::pg_sys::{JsonbIteratorToken, JsonbValue, jbvType};
use serde::Deserialize;

use super::spi::Row;

/// A user column, as the list's document names it.
#[derive(Debug, Clone, Deserialize)]
pub struct Field {
    /// Its name, the key.
    pub name: String,
    /// Its column, quoted.
    pub column: String,
    /// Its type.
    #[serde(rename = "type")]
    pub column_type: ColumnType,
}

/// The fields of a row, whose columns stand from `first` on in their order, as a `jsonb` in the memory of the
/// call's result. Inside SPI.
pub fn object(fields: &[Field], row: &Row<'_>, first: usize) -> pg_sys::Datum {
    // SAFETY: values of the types that the columns of the list have, read while the row is at hand. Keys and
    // texts are copied when the object is finished.
    unsafe {
        let mut state = std::ptr::null_mut();
        let nothing = std::ptr::null_mut();
        pg_sys::pushJsonbValue(
            &raw mut state,
            JsonbIteratorToken::WJB_BEGIN_OBJECT,
            nothing,
        );
        for (place, field) in fields.iter().enumerate() {
            let mut key = text(field.name.as_bytes());
            pg_sys::pushJsonbValue(&raw mut state, JsonbIteratorToken::WJB_KEY, &raw mut key);
            let mut value = match row.datum(first + place) {
                None => empty(jbvType::jbvNull),
                Some(datum) => value(field.column_type, datum),
            };
            pg_sys::pushJsonbValue(
                &raw mut state,
                JsonbIteratorToken::WJB_VALUE,
                &raw mut value,
            );
        }
        let object =
            pg_sys::pushJsonbValue(&raw mut state, JsonbIteratorToken::WJB_END_OBJECT, nothing);
        let document = pg_sys::Datum::from(pg_sys::JsonbValueToJsonb(object));
        pg_sys::SPI_datumTransfer(document, false, -1)
    }
}

unsafe fn value(column_type: ColumnType, datum: pg_sys::Datum) -> JsonbValue {
    // SAFETY: the datum has the type.
    unsafe {
        match column_type {
            ColumnType::Text => {
                let whole = pg_sys::pg_detoast_datum_packed(datum.cast_mut_ptr());
                text(pgrx::varlena::varlena_to_byte_slice(whole))
            }
            ColumnType::Integer => number(pg_sys::int64_to_numeric(datum.value() as i64)),
            ColumnType::Numeric => {
                let whole: pg_sys::Numeric = pg_sys::pg_detoast_datum(datum.cast_mut_ptr()).cast();
                // JSON knows no such numbers.
                if pg_sys::numeric_is_nan(whole) || pg_sys::numeric_is_inf(whole) {
                    let written = pg_sys::OidOutputFunctionCall(
                        pg_sys::Oid::from_u32(pg_sys::F_NUMERIC_OUT),
                        datum,
                    );
                    text(std::ffi::CStr::from_ptr(written).to_bytes())
                } else {
                    number(whole)
                }
            }
            ColumnType::Boolean => {
                let mut value = empty(jbvType::jbvBool);
                value.val.boolean = datum.value() as u8 != 0;
                value
            }
            ColumnType::Date => moment(datum, pg_sys::DATEOID),
            ColumnType::Timestamptz => moment(datum, pg_sys::TIMESTAMPTZOID),
        }
    }
}

/// A value of a type, its content still to be set.
fn empty(type_: jbvType::Type) -> JsonbValue {
    JsonbValue {
        type_,
        ..JsonbValue::default()
    }
}

fn text(bytes: &[u8]) -> JsonbValue {
    let mut value = empty(jbvType::jbvString);
    value.val.string.len = i32::try_from(bytes.len()).unwrap_or(0);
    value.val.string.val = bytes.as_ptr().cast_mut().cast();
    value
}

fn number(numeric: pg_sys::Numeric) -> JsonbValue {
    let mut value = empty(jbvType::jbvNumeric);
    value.val.numeric = numeric;
    value
}

/// A date or a moment, as JSON writes it.
unsafe fn moment(datum: pg_sys::Datum, type_oid: pg_sys::Oid) -> JsonbValue {
    // SAFETY: the datum has the type; Postgres makes the room for the text.
    unsafe {
        let written =
            pg_sys::JsonEncodeDateTime(std::ptr::null_mut(), datum, type_oid, std::ptr::null());
        text(std::ffi::CStr::from_ptr(written).to_bytes())
    }
}

#[cfg(any(test, feature = "pg_test"))]
#[pgrx::pg_schema]
mod tests {
    use pgrx::prelude::*;

    use super::*;
    use crate::engine::spi;
    use crate::testing::value;

    #[pg_extern]
    fn fields_of(statement: &str, types: Vec<String>) -> Option<bool> {
        let fields: Vec<Field> = types
            .iter()
            .enumerate()
            .map(|(place, name)| {
                Some(Field {
                    name: format!("column {place}"),
                    column: String::new(),
                    column_type: name.parse().ok()?,
                })
            })
            .collect::<Option<_>>()?;
        let datum = spi::connected(|| spi::one(statement, &[], |row| object(&fields, row, 0)))?;
        // As text: read as a document, numbers would be compared as what a double holds of them.
        let written = unsafe {
            let jsonb_out = pg_sys::Oid::from_u32(pg_sys::F_JSONB_OUT);
            std::ffi::CStr::from_ptr(pg_sys::OidOutputFunctionCall(jsonb_out, datum))
        };
        let built: String = value(&format!(
            "SELECT jsonb_build_object({})::text FROM ({statement}) AS s ({})",
            (0..types.len())
                .map(|n| format!("'column {n}', c{n}"))
                .collect::<Vec<_>>()
                .join(", "),
            (0..types.len())
                .map(|n| format!("c{n}"))
                .collect::<Vec<_>>()
                .join(", ")
        ));
        Some(written.to_str().ok()? == built)
    }

    #[pg_test]
    fn fields_are_what_jsonb_build_object_makes_of_them() {
        let row = "SELECT 'Zoë \"Z\"'::text, repeat('long ', 3000), ''::text, NULL::text, 42::bigint, (-9223372036854775808)::bigint, \
                   12345678901234567890.50::numeric, 'NaN'::numeric, '-Infinity'::numeric, true, NULL::boolean, '2026-02-28'::date, 'infinity'::date, \
                   '2026-02-28 23:59:59.5+01'::timestamptz, '-infinity'::timestamptz";
        let types = "{text,text,text,text,integer,integer,numeric,numeric,numeric,boolean,boolean,date,date,timestamptz,timestamptz}";
        assert!(value::<bool>(&format!(
            "SELECT tests.fields_of({}, '{types}')",
            pgrx::spi::quote_literal(row)
        )));
    }
}

//! Reading and locking rows by key or place, without a statement.
//!
//! A claim and a settlement read every record of their contacts. As a statement, each row would pass a join
//! of its key with its values and a projection of all columns; here the index and the table are asked directly.
//! The columns are those that a list's tables inherit, which Postgres keeps from being dropped or given another
//! type.

use pgrx::{IntoDatum, PgSqlErrorCode, pg_sys};

use super::spi::{Place, Row};
use crate::error::raise;

/// Locks the rows that are or were at these places, one after the other, as `FOR NO KEY UPDATE` does, and
/// hands over these columns of their newest versions, with their places; rows that are gone are left out. The
/// places must have been read under the snapshot of the statement that this call is part of, or a later one:
/// no version that it sees is cleaned away meanwhile, and its place given to another row.
///
/// # Errors
/// Raises `serialization_failure` in a transaction that must not see a newer version.
pub fn lock(
    table: &str,
    places: &[Place],
    columns: &[&str],
    mut each: impl FnMut(&Row<'_>, Place),
) {
    // SAFETY: everything is open from here to the end.
    unsafe {
        refuse_read_only(c"SELECT FOR NO KEY UPDATE");
        let mut reader = Reader::open(table, columns, Sight::Newest, pg_sys::RowExclusiveLock);
        for place in places {
            if lock_one(reader.relation, *place, reader.slot) {
                reader.row(&mut each);
            }
        }
        reader.close();
    }
}

/// Which rows are seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// The newest that others have committed.
    Newest,
    /// Those of the statement that called, as [`super::spi::look`] sees them.
    OfOneMoment,
}

/// Hands over these columns, and the places, of all rows with each of these keys, which are texts and stand
/// first in the table's primary key; and the number of the key among those given.
///
/// # Errors
/// Raises `undefined_object` when somebody took the primary key away.
pub fn read_by_key(
    table: &str,
    keys: &[&str],
    columns: &[&str],
    sight: Sight,
    mut each: impl FnMut(usize, &Row<'_>, Place),
) {
    // SAFETY: everything is open from here to the end; the key is a text, compared as the index does.
    unsafe {
        let mut reader = Reader::open(table, columns, sight, pg_sys::AccessShareLock);
        let index = primary_key(reader.relation, table);
        let scan = begin_scan(reader.relation, index);
        for (number, key) in keys.iter().enumerate() {
            let mut wanted = pg_sys::ScanKeyData::default();
            pg_sys::ScanKeyEntryInitialize(
                &raw mut wanted,
                0,
                1,
                pg_sys::BTEqualStrategyNumber as u16,
                pg_sys::InvalidOid,
                *(*index).rd_indcollation,
                pg_sys::Oid::from_u32(pg_sys::F_TEXTEQ),
                key.into_datum().unwrap_or(pg_sys::Datum::null()),
            );
            pg_sys::index_rescan(scan, &raw mut wanted, 1, std::ptr::null_mut(), 0);
            while pg_sys::index_getnext_slot(
                scan,
                pg_sys::ScanDirection::ForwardScanDirection,
                reader.slot,
            ) {
                reader.row(&mut |row, place| each(number, row, place));
            }
        }
        pg_sys::index_endscan(scan);
        pg_sys::index_close(index, pg_sys::AccessShareLock.cast_signed());
        reader.close();
    }
}

/// A relation of which rows are read.
struct Reader {
    relation: pg_sys::Relation,
    slot: *mut pg_sys::TupleTableSlot,
    attributes: Vec<usize>,
    values: Vec<pg_sys::Datum>,
    nulls: Vec<bool>,
}

impl Reader {
    unsafe fn open(table: &str, columns: &[&str], sight: Sight, lock: u32) -> Self {
        // SAFETY: the slot is one of the relation; both are closed by `close`.
        unsafe {
            let relation = open(table, lock);
            pg_sys::PushActiveSnapshot(match sight {
                Sight::Newest => pg_sys::GetTransactionSnapshot(),
                Sight::OfOneMoment => pg_sys::GetActiveSnapshot(),
            });
            Self {
                relation,
                slot: pg_sys::table_slot_create(relation, std::ptr::null_mut()),
                attributes: columns
                    .iter()
                    .map(|name| attribute(relation, name))
                    .collect(),
                values: vec![pg_sys::Datum::null(); columns.len()],
                nulls: vec![true; columns.len()],
            }
        }
    }

    /// Hands over the row in the slot.
    unsafe fn row(&mut self, each: &mut impl FnMut(&Row<'_>, Place)) {
        // SAFETY: the values point into a page that stays pinned until the slot gets another row.
        unsafe {
            pg_sys::slot_getallattrs(self.slot);
            for (column, attribute) in self.attributes.iter().enumerate() {
                self.values[column] = *(*self.slot).tts_values.add(*attribute);
                self.nulls[column] = *(*self.slot).tts_isnull.add(*attribute);
            }
            each(
                &Row::of(&self.values, &self.nulls),
                Place::of((*self.slot).tts_tid),
            );
        }
    }

    unsafe fn close(self) {
        // SAFETY: what `open` opened, backwards.
        unsafe {
            pg_sys::ExecDropSingleTupleTableSlot(self.slot);
            pg_sys::PopActiveSnapshot();
            pg_sys::table_close(self.relation, pg_sys::NoLock.cast_signed());
        }
    }
}

/// The index of the primary key, which must begin with the contact.
unsafe fn primary_key(relation: pg_sys::Relation, table: &str) -> pg_sys::Relation {
    // SAFETY: the relation is open, and so is the index from here on.
    unsafe {
        #[cfg(not(feature = "pg18"))]
        let key = pg_sys::RelationGetPrimaryKeyIndex(relation);
        #[cfg(feature = "pg18")]
        let key = pg_sys::RelationGetPrimaryKeyIndex(relation, true);
        if key != pg_sys::InvalidOid {
            let index = pg_sys::index_open(key, pg_sys::AccessShareLock.cast_signed());
            let first = *(*(*index).rd_index).indkey.values.as_ptr();
            if usize::try_from(first - 1) == Ok(attribute(relation, "sys_contact_id")) {
                return index;
            }
        }
        raise(
            PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT,
            format!("{table} has no primary key any more that begins with sys_contact_id"),
            "The dialers' calls find the records of a contact by it.",
            "Give the table its primary key back: (sys_contact_id, sys_id).",
        )
    }
}

unsafe fn begin_scan(relation: pg_sys::Relation, index: pg_sys::Relation) -> pg_sys::IndexScanDesc {
    // SAFETY: both are open, and a snapshot is active.
    unsafe {
        let snapshot = pg_sys::GetActiveSnapshot();
        #[cfg(not(feature = "pg18"))]
        let scan = pg_sys::index_beginscan(relation, index, snapshot, 1, 0);
        #[cfg(feature = "pg18")]
        let scan = pg_sys::index_beginscan(relation, index, snapshot, std::ptr::null_mut(), 1, 0);
        scan
    }
}

/// Locks a row, waiting for whoever holds it; false when it is gone.
unsafe fn lock_one(
    relation: pg_sys::Relation,
    place: Place,
    slot: *mut pg_sys::TupleTableSlot,
) -> bool {
    // SAFETY: the slot is one of the open relation.
    unsafe {
        let mut place = place.raw();
        let mut failure = pg_sys::TM_FailureData::default();
        let outcome = pg_sys::table_tuple_lock(
            relation,
            &raw mut place,
            pg_sys::GetActiveSnapshot(),
            slot,
            pg_sys::GetCurrentCommandId(true),
            pg_sys::LockTupleMode::LockTupleNoKeyExclusive,
            pg_sys::LockWaitPolicy::LockWaitBlock,
            pg_sys::TUPLE_LOCK_FLAG_FIND_LAST_VERSION as u8,
            &raw mut failure,
        );
        let changed = failure.traversed || outcome != pg_sys::TM_Result::TM_Ok;
        if changed && pg_sys::XactIsoLevel >= pg_sys::XACT_REPEATABLE_READ.cast_signed() {
            changed_meanwhile(relation);
        }
        outcome == pg_sys::TM_Result::TM_Ok
    }
}

/// Raises `serialization_failure`: a row is not as this transaction saw it.
pub fn changed_meanwhile(relation: pg_sys::Relation) -> ! {
    raise(
        PgSqlErrorCode::ERRCODE_T_R_SERIALIZATION_FAILURE,
        format!(
            "a row of {} was changed by another transaction",
            name_of(relation)
        ),
        "",
        "Try again, in a new transaction.",
    )
}

/// Raises what a statement that writes would, in a transaction that must not.
pub unsafe fn refuse_read_only(command: &std::ffi::CStr) {
    // SAFETY: the name of the command is NUL-terminated.
    unsafe {
        pg_sys::PreventCommandIfReadOnly(command.as_ptr());
        pg_sys::PreventCommandIfParallelMode(command.as_ptr());
    }
}

/// Opens a table by its quoted name, under a lock that stays until the transaction ends.
///
/// # Errors
/// Raises `wrong_object_type` when something else has the name.
pub unsafe fn open(table: &str, lock: u32) -> pg_sys::Relation {
    // SAFETY: a name that the engine's catalogue made; an unknown one is an error of Postgres.
    unsafe {
        let name = table.into_datum().unwrap_or(pg_sys::Datum::null());
        let names = pg_sys::textToQualifiedNameList(name.cast_mut_ptr());
        let range = pg_sys::makeRangeVarFromNameList(names);
        let relation = pg_sys::table_openrv(range, lock.cast_signed());
        if (*(*relation).rd_rel).relkind.cast_unsigned() != pg_sys::RELKIND_RELATION {
            raise(
                PgSqlErrorCode::ERRCODE_WRONG_OBJECT_TYPE,
                format!("{table} is not the table of a contact list any more"),
                "Something else has its name: a view, or a partitioned table.",
                "Give the name back to the table, or restore the list from a backup.",
            );
        }
        relation
    }
}

/// Makes sure that the table has these columns as they are documented, and keeps it so until the transaction
/// ends: to be asked before a statement reads them as what they should be.
///
/// # Errors
/// As [`attribute`].
pub fn expect(table: &str, columns: &[&str]) {
    // SAFETY: the relation is open meanwhile.
    unsafe {
        let relation = open(table, pg_sys::AccessShareLock);
        for column in columns {
            attribute(relation, column);
        }
        pg_sys::table_close(relation, pg_sys::NoLock.cast_signed());
    }
}

/// Where a column that the documented tables have stands in a row, from 0. It is inherited, so Postgres keeps
/// it from being given another type.
///
/// # Errors
/// Raises `undefined_column` when it is gone or not inherited, which needs that the table was taken from its
/// parent.
pub unsafe fn attribute(relation: pg_sys::Relation, name: &str) -> usize {
    let text = std::ffi::CString::new(name).unwrap_or_default();
    // SAFETY: the relation is open, the name NUL-terminated; the entry of the catalogue is read before it is
    // given back.
    let place = unsafe {
        let entry = pg_sys::SearchSysCacheAttName((*relation).rd_id, text.as_ptr());
        if entry.is_null() {
            None
        } else {
            let column = pg_sys::GETSTRUCT(entry).cast::<pg_sys::FormData_pg_attribute>();
            let inherited = (*column).attinhcount > 0;
            let number = (*column).attnum;
            pg_sys::ReleaseSysCache(entry);
            usize::try_from(number - 1).ok().filter(|_| inherited)
        }
    };
    place.unwrap_or_else(|| {
        raise(
            PgSqlErrorCode::ERRCODE_UNDEFINED_COLUMN,
            format!("{} does not inherit a column {name} any more", name_of(relation)),
            "The tables of a contact list inherit the documented columns.",
            "Let the table inherit its parent again (outbound.contact, outbound.contact_detail), or restore the list from a backup.",
        )
    })
}

/// Name of an open relation.
fn name_of(relation: pg_sys::Relation) -> String {
    // SAFETY: the caller has it open; its name is NUL-terminated.
    let name = unsafe { std::ffi::CStr::from_ptr((*(*relation).rd_rel).relname.data.as_ptr()) };
    name.to_string_lossy().into_owned()
}

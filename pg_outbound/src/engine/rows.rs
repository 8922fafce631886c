//! Reading, locking and changing rows by key or place, without a statement.
//!
//! A claim and a settlement read every record of their contacts, and change every contact twice and every
//! record once or twice. As a statement, each row would pass a join of its place with its values, a scan of
//! its own and a projection of all columns; here the executor's own calls for one row are used, those that
//! logical replication applies changes with: constraints, triggers of rows and indexes are looked after as ever.

use pgrx::{IntoDatum, PgBox, PgSqlErrorCode, pg_sys};

use super::columns::Values;
use super::spi::{Place, Row};
use crate::error::raise;

/// Changes the rows at these places: sets the columns to their values, row by row, and `sys_updated_at` to
/// the start of the transaction. Later statements of the transaction see it. The rows must be locked, or kept
/// from others by a lock on what owns them. Returns how many of the rows were there.
///
/// # Errors
/// Raises what an UPDATE would: constraints, triggers.
pub fn update(table: &str, places: &[Place], columns: &[(&'static str, Values<'_>)]) -> usize {
    let mut changed = 0;
    // SAFETY: the target is open from here to the end; attribute numbers are those of its own descriptor.
    unsafe {
        let relation = open(table, pg_sys::RowExclusiveLock);
        let mut names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
        names.push("sys_updated_at");
        let attributes: Vec<i16> = names.iter().map(|name| attribute(relation, name)).collect();
        let mut target = Target::new(relation, &attributes);
        let moment = pg_sys::Datum::from(pg_sys::GetCurrentTransactionStartTimestamp());
        for (row, place) in places.iter().enumerate() {
            if !target.fetch(*place) {
                continue;
            }
            for ((_, values), attribute) in columns.iter().zip(&attributes) {
                target.set(*attribute, values.datum(row));
            }
            if let Some(attribute) = attributes.last() {
                target.set(*attribute, Some(moment));
            }
            target.write();
            changed += 1;
        }
        target.close();
        pg_sys::CommandCounterIncrement();
    }
    changed
}

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
        let mut reader = Reader::open(table, columns, pg_sys::RowExclusiveLock);
        for place in places {
            if lock_one(reader.relation, *place, reader.slot) {
                reader.row(&mut each);
            }
        }
        reader.close();
    }
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
    mut each: impl FnMut(usize, &Row<'_>, Place),
) {
    // SAFETY: everything is open from here to the end; the key is a text, compared as the index does.
    unsafe {
        let mut reader = Reader::open(table, columns, pg_sys::AccessShareLock);
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

/// A relation of which rows are read, under a snapshot that is newer than everything before.
struct Reader {
    relation: pg_sys::Relation,
    slot: *mut pg_sys::TupleTableSlot,
    attributes: Vec<usize>,
    values: Vec<pg_sys::Datum>,
    nulls: Vec<bool>,
}

impl Reader {
    unsafe fn open(table: &str, columns: &[&str], lock: u32) -> Self {
        // SAFETY: the slot is one of the relation; both are closed by `close`.
        unsafe {
            let relation = open(table, lock);
            pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
            Self {
                relation,
                slot: pg_sys::table_slot_create(relation, std::ptr::null_mut()),
                attributes: columns
                    .iter()
                    .filter_map(|name| usize::try_from(attribute(relation, name) - 1).ok())
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

unsafe fn primary_key(relation: pg_sys::Relation, table: &str) -> pg_sys::Relation {
    // SAFETY: the relation is open.
    unsafe {
        #[cfg(not(feature = "pg18"))]
        let index = pg_sys::RelationGetPrimaryKeyIndex(relation);
        #[cfg(feature = "pg18")]
        let index = pg_sys::RelationGetPrimaryKeyIndex(relation, true);
        if index == pg_sys::InvalidOid {
            raise(
                PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT,
                format!("{table} has no primary key any more"),
                "The dialers' calls find the records of a contact by it.",
                "Add a primary key on (sys_contact_id, sys_id).",
            );
        }
        pg_sys::index_open(index, pg_sys::AccessShareLock.cast_signed())
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
        let newer = failure.traversed || outcome == pg_sys::TM_Result::TM_Updated;
        if newer && pg_sys::XactIsoLevel >= pg_sys::XACT_REPEATABLE_READ.cast_signed() {
            raise(
                PgSqlErrorCode::ERRCODE_T_R_SERIALIZATION_FAILURE,
                "a contact was changed by a later transaction",
                "",
                "Try again, in a new transaction.",
            );
        }
        outcome == pg_sys::TM_Result::TM_Ok
    }
}

/// Opens a table by its quoted name, under a lock that stays until the transaction ends.
unsafe fn open(table: &str, lock: u32) -> pg_sys::Relation {
    // SAFETY: a name that the engine's catalogue made; an unknown one is an error of Postgres.
    unsafe {
        let name = table.into_datum().unwrap_or(pg_sys::Datum::null());
        let names = pg_sys::textToQualifiedNameList(name.cast_mut_ptr());
        let range = pg_sys::makeRangeVarFromNameList(names);
        pg_sys::table_openrv(range, lock.cast_signed())
    }
}

/// Number of a column that the documented tables have.
unsafe fn attribute(relation: pg_sys::Relation, name: &str) -> i16 {
    let text = std::ffi::CString::new(name).unwrap_or_default();
    // SAFETY: the relation is open, the name NUL-terminated.
    unsafe { pg_sys::get_attnum((*relation).rd_id, text.as_ptr()) }
}

/// A relation with everything that changing its rows needs, until `close`.
struct Target {
    relation: pg_sys::Relation,
    estate: *mut pg_sys::EState,
    result: *mut pg_sys::ResultRelInfo,
    epq: *mut pg_sys::EPQState,
    old: *mut pg_sys::TupleTableSlot,
    new: *mut pg_sys::TupleTableSlot,
}

impl Target {
    /// Everything in the current memory context, which a call of a function frees.
    unsafe fn new(relation: pg_sys::Relation, changed: &[i16]) -> Self {
        // SAFETY: as the executor prepares a ModifyTable of one relation, and as replication does.
        unsafe {
            let estate = pg_sys::CreateExecutorState();
            range_table(estate, relation, changed);
            let result =
                PgBox::<pg_sys::ResultRelInfo>::alloc_node(pg_sys::NodeTag::T_ResultRelInfo)
                    .into_pg();
            pg_sys::InitResultRelInfo(result, relation, 1, std::ptr::null_mut(), 0);
            pg_sys::ExecOpenIndices(result, false);
            (*estate).es_output_cid = pg_sys::GetCurrentCommandId(true);
            pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
            (*estate).es_snapshot = pg_sys::GetActiveSnapshot();
            pg_sys::AfterTriggerBeginQuery();
            let epq = PgBox::<pg_sys::EPQState>::alloc0().into_pg();
            begin_rechecks(epq, estate);
            Self {
                relation,
                estate,
                result,
                epq,
                old: pg_sys::table_slot_create(relation, std::ptr::null_mut()),
                new: pg_sys::MakeSingleTupleTableSlot(
                    (*relation).rd_att,
                    &raw const pg_sys::TTSOpsVirtual,
                ),
            }
        }
    }

    /// Takes the row at a place, as it is now, for the next one to be written.
    unsafe fn fetch(&mut self, place: Place) -> bool {
        // SAFETY: both slots have the descriptor of the relation; the new one's values point into the old
        // one's page, which stays pinned until the next row is fetched.
        unsafe {
            let mut place = place.raw();
            if !pg_sys::table_tuple_fetch_row_version(
                self.relation,
                &raw mut place,
                (*self.estate).es_snapshot,
                self.old,
            ) {
                return false;
            }
            pg_sys::slot_getallattrs(self.old);
            pg_sys::ExecClearTuple(self.new);
            let columns = usize::try_from((*(*self.relation).rd_att).natts).unwrap_or(0);
            std::ptr::copy_nonoverlapping((*self.old).tts_values, (*self.new).tts_values, columns);
            std::ptr::copy_nonoverlapping((*self.old).tts_isnull, (*self.new).tts_isnull, columns);
            true
        }
    }

    unsafe fn set(&mut self, attribute: i16, value: Option<pg_sys::Datum>) {
        let Ok(column) = usize::try_from(attribute - 1) else {
            return;
        };
        // SAFETY: the number is one of the relation's columns.
        unsafe {
            *(*self.new).tts_values.add(column) = value.unwrap_or(pg_sys::Datum::null());
            *(*self.new).tts_isnull.add(column) = value.is_none();
        }
    }

    unsafe fn write(&mut self) {
        // SAFETY: the old slot holds the row that is replaced, the new one all its values.
        unsafe {
            pg_sys::ExecStoreVirtualTuple(self.new);
            pg_sys::ExecSimpleRelationUpdate(
                self.result,
                self.estate,
                self.epq,
                self.old,
                self.new,
            );
            let context = (*self.estate).es_per_tuple_exprcontext;
            if !context.is_null() {
                pg_sys::MemoryContextReset((*context).ecxt_per_tuple_memory);
            }
        }
    }

    unsafe fn close(self) {
        // SAFETY: everything was opened by `new`, and is closed in the order of a statement's end.
        unsafe {
            pg_sys::AfterTriggerEndQuery(self.estate);
            pg_sys::PopActiveSnapshot();
            pg_sys::EvalPlanQualEnd(self.epq);
            pg_sys::ExecDropSingleTupleTableSlot(self.new);
            pg_sys::ExecDropSingleTupleTableSlot(self.old);
            pg_sys::ExecCloseIndices(self.result);
            pg_sys::FreeExecutorState(self.estate);
            pg_sys::table_close(self.relation, pg_sys::NoLock.cast_signed());
        }
    }
}

/// Tells the executor which relation is changed, and which of its columns: indexes are kept by it.
unsafe fn range_table(estate: *mut pg_sys::EState, relation: pg_sys::Relation, changed: &[i16]) {
    // SAFETY: nodes of the current memory context, as the planner makes them.
    unsafe {
        let mut entry =
            PgBox::<pg_sys::RangeTblEntry>::alloc_node(pg_sys::NodeTag::T_RangeTblEntry);
        entry.rtekind = pg_sys::RTEKind::RTE_RELATION;
        entry.relid = (*relation).rd_id;
        entry.relkind = (*(*relation).rd_rel).relkind;
        entry.rellockmode = pg_sys::RowExclusiveLock.cast_signed();
        let entry = entry.into_pg();
        let mut columns = std::ptr::null_mut();
        for attribute in changed {
            let member = i32::from(*attribute) - pg_sys::FirstLowInvalidHeapAttributeNumber;
            columns = pg_sys::bms_add_member(columns, member);
        }
        let entries = pg_sys::lappend(std::ptr::null_mut(), entry.cast());
        #[cfg(feature = "pg15")]
        {
            (*entry).updatedCols = columns;
            pg_sys::ExecInitRangeTable(estate, entries);
        }
        #[cfg(not(feature = "pg15"))]
        {
            let mut rights = std::ptr::null_mut();
            let right = pg_sys::addRTEPermissionInfo(&raw mut rights, entry);
            (*right).updatedCols = columns;
            #[cfg(any(feature = "pg16", feature = "pg17"))]
            pg_sys::ExecInitRangeTable(estate, entries, rights);
            #[cfg(feature = "pg18")]
            pg_sys::ExecInitRangeTable(estate, entries, rights, pg_sys::bms_make_singleton(1));
        }
    }
}

/// What a trigger needs that meets a row changed meanwhile.
unsafe fn begin_rechecks(epq: *mut pg_sys::EPQState, estate: *mut pg_sys::EState) {
    // SAFETY: both live as long as the target; there is no plan.
    unsafe {
        #[cfg(feature = "pg15")]
        pg_sys::EvalPlanQualInit(epq, estate, std::ptr::null_mut(), std::ptr::null_mut(), -1);
        #[cfg(not(feature = "pg15"))]
        pg_sys::EvalPlanQualInit(
            epq,
            estate,
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            -1,
            std::ptr::null_mut(),
        );
    }
}

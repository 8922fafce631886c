//! Changing rows where they stand, without a statement.
//!
//! A claim and a settlement change every contact twice and every record once or twice. As a statement, each
//! row would pass a join of its place with its values, a scan of its own and a projection of all columns; here
//! the table and its indexes are given the new version of the row directly, and the constraints are checked.
//! What only a statement does (triggers, rules, policies, columns that are computed) is left to one: a table
//! that has any of it is not changed here.

use pgrx::{PgBox, pg_sys};

use super::columns::Values;
use super::rows;
use super::spi::Place;

/// Changes the rows at these places: sets the columns to their values, row by row, and `sys_updated_at` to
/// the start of the transaction. Later statements of the transaction see it. The rows must be locked, or kept
/// from others by a lock on what owns them. Returns how many of the rows were there; none when the table must
/// be changed by a statement, and then nothing was done.
///
/// # Errors
/// Raises what an UPDATE would: constraints; `serialization_failure` when somebody changed a row meanwhile.
pub fn update(
    table: &str,
    places: &[Place],
    columns: &[(&'static str, Values<'_>)],
) -> Option<usize> {
    // SAFETY: the target is open from here to the end; attributes are those of its own descriptor.
    unsafe {
        rows::refuse_read_only(c"UPDATE");
        let relation = rows::open(table, pg_sys::RowExclusiveLock);
        if !is_plain(relation) {
            pg_sys::table_close(relation, pg_sys::NoLock.cast_signed());
            return None;
        }
        pg_sys::CheckCmdReplicaIdentity(relation, pg_sys::CmdType::CMD_UPDATE);
        let attributes: Vec<usize> = columns
            .iter()
            .map(|(name, _)| rows::attribute(relation, name))
            .collect();
        let updated_at = rows::attribute(relation, "sys_updated_at");
        let mut target = Target::new(relation, attributes.iter().chain([&updated_at]));
        let moment = pg_sys::Datum::from(pg_sys::GetCurrentTransactionStartTimestamp());
        let mut changed = 0;
        for (row, place) in places.iter().enumerate() {
            if !target.fetch(*place) {
                continue;
            }
            for ((_, values), attribute) in columns.iter().zip(&attributes) {
                target.set(*attribute, values.datum(row));
            }
            target.set(updated_at, Some(moment));
            target.write(*place);
            changed += 1;
        }
        target.close();
        pg_sys::CommandCounterIncrement();
        Some(changed)
    }
}

/// Whether a row of the table is changed by nothing but a new version and its entries in the indexes.
unsafe fn is_plain(relation: pg_sys::Relation) -> bool {
    // SAFETY: the relation is open.
    unsafe {
        let computed = (*(*relation).rd_att).constr;
        (*relation).trigdesc.is_null()
            && (*relation).rd_rules.is_null()
            && !(*(*relation).rd_rel).relrowsecurity
            && !(*(*relation).rd_rel).relispartition
            && (computed.is_null() || !(*computed).has_generated_stored)
    }
}

/// A relation with everything that changing its rows needs, until `close`.
struct Target {
    relation: pg_sys::Relation,
    estate: *mut pg_sys::EState,
    result: *mut pg_sys::ResultRelInfo,
    old: *mut pg_sys::TupleTableSlot,
    new: *mut pg_sys::TupleTableSlot,
}

impl Target {
    /// Everything in the current memory context, which a call of a function frees.
    unsafe fn new<'a>(
        relation: pg_sys::Relation,
        changed: impl Iterator<Item = &'a usize>,
    ) -> Self {
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
            Self {
                relation,
                estate,
                result,
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
            // A constraint may ask for it.
            (*self.new).tts_tableOid = (*self.relation).rd_id;
            let columns = usize::try_from((*(*self.relation).rd_att).natts).unwrap_or(0);
            std::ptr::copy_nonoverlapping((*self.old).tts_values, (*self.new).tts_values, columns);
            std::ptr::copy_nonoverlapping((*self.old).tts_isnull, (*self.new).tts_isnull, columns);
            true
        }
    }

    unsafe fn set(&mut self, attribute: usize, value: Option<pg_sys::Datum>) {
        // SAFETY: it is one of the relation's columns.
        unsafe {
            *(*self.new).tts_values.add(attribute) = value.unwrap_or(pg_sys::Datum::null());
            *(*self.new).tts_isnull.add(attribute) = value.is_none();
        }
    }

    /// Puts the new row in the place of the fetched one.
    unsafe fn write(&mut self, place: Place) {
        // SAFETY: the new slot holds all values of the row.
        unsafe {
            pg_sys::ExecStoreVirtualTuple(self.new);
            if !(*(*self.relation).rd_att).constr.is_null() {
                pg_sys::ExecConstraints(self.result, self.new, self.estate);
            }
            let mut place = place.raw();
            let mut failure = pg_sys::TM_FailureData::default();
            let mut lock = pg_sys::LockTupleMode::LockTupleNoKeyExclusive;
            let mut indexes = Default::default();
            let outcome = pg_sys::table_tuple_update(
                self.relation,
                &raw mut place,
                self.new,
                (*self.estate).es_output_cid,
                (*self.estate).es_snapshot,
                std::ptr::null_mut(),
                true,
                &raw mut failure,
                &raw mut lock,
                &raw mut indexes,
            );
            if outcome != pg_sys::TM_Result::TM_Ok {
                rows::changed_meanwhile(self.relation);
            }
            self.enter(indexes);
            let context = (*self.estate).es_per_tuple_exprcontext;
            if !context.is_null() {
                pg_sys::MemoryContextReset((*context).ecxt_per_tuple_memory);
            }
        }
    }

    /// Enters the new row into the indexes that need it.
    #[cfg(feature = "pg15")]
    unsafe fn enter(&mut self, needed: bool) {
        // SAFETY: the slot holds the row as it was stored.
        unsafe {
            if needed {
                pg_sys::ExecInsertIndexTuples(
                    self.result,
                    self.new,
                    self.estate,
                    true,
                    false,
                    std::ptr::null_mut(),
                    std::ptr::null_mut(),
                );
            }
        }
    }

    /// Enters the new row into the indexes that need it.
    #[cfg(not(feature = "pg15"))]
    unsafe fn enter(&mut self, needed: pg_sys::TU_UpdateIndexes::Type) {
        // SAFETY: the slot holds the row as it was stored.
        unsafe {
            if needed != pg_sys::TU_UpdateIndexes::TU_None {
                pg_sys::ExecInsertIndexTuples(
                    self.result,
                    self.new,
                    self.estate,
                    true,
                    false,
                    std::ptr::null_mut(),
                    std::ptr::null_mut(),
                    needed == pg_sys::TU_UpdateIndexes::TU_Summarizing,
                );
            }
        }
    }

    unsafe fn close(self) {
        // SAFETY: everything was opened by `new`, and is closed in the order of a statement's end.
        unsafe {
            pg_sys::PopActiveSnapshot();
            pg_sys::ExecDropSingleTupleTableSlot(self.new);
            pg_sys::ExecDropSingleTupleTableSlot(self.old);
            pg_sys::ExecCloseIndices(self.result);
            pg_sys::ExecResetTupleTable((*self.estate).es_tupleTable, false);
            pg_sys::FreeExecutorState(self.estate);
            pg_sys::table_close(self.relation, pg_sys::NoLock.cast_signed());
        }
    }
}

/// Tells the executor which relation is changed, and which of its columns: indexes are kept by it.
unsafe fn range_table<'a>(
    estate: *mut pg_sys::EState,
    relation: pg_sys::Relation,
    changed: impl Iterator<Item = &'a usize>,
) {
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
            let number = i32::try_from(*attribute).unwrap_or(0) + 1;
            let member = number - pg_sys::FirstLowInvalidHeapAttributeNumber;
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

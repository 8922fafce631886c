//! The dialers' side of a contact list: reads contacts under lock, lets core's status machine decide, and
//! writes back what changed.
//!
//! Every call goes the same way. It finds the tables of the list ([`catalog`]), locks the contacts it is
//! about and reads them with all their records ([`store`]), applies one event of `outbound_core::machine` to
//! each, and writes the changed rows where they are ([`rows`]). What belongs elsewhere follows in the same
//! transaction: the attempt log and the journal ([`journal`]), the counters ([`counters`]).
//!
//! | module | holds |
//! |---|---|
//! | [`spi`] | statements planned once a session, arrays in, rows out |
//! | [`catalog`] | lists, campaigns and results as the calls need them, kept until the settings change |
//! | [`columns`] | the values of rows that are written, column by column |
//! | [`rows`] | rows read, locked and changed by key or place, without a statement |
//! | [`enums`] | values of enum types by their numbers |
//! | [`store`] | contacts and records: locking, reading, writing |
//! | [`journal`] | the attempt log and the contact events |
//! | [`counters`] | what a change means for the counters of a list |
//! | [`unit_checks`] | do-not-contact lists and conversations, as a claim looks at them |
//! | [`work`] | an event for each of many attempts |
//! | [`capacity`], [`inbox_rates`] | pacing: attempts in progress, attempts a minute, inbox rates |
//! | [`answers`], [`fields`] | rows as calls hand them over, and the user's columns in them |
//! | [`arguments`] | moments as calls are given them |
//! | [`claim`] | `claim` |
//! | [`marks`] | where the latest scan of a list ended |
//! | [`attempts`] | `start`, `settle`, `release`, `extend`, `finish`, callbacks |
//! | [`duties`] | ended leases, ended waiting times, stopped and completed campaigns |
//! | [`operator`] | `exclude`, `reset`, `reevaluate`, moved and cancelled callbacks |
//! | [`consistency`] | `check_consistency` |
//! | [`explain`] | `explain` |

#![allow(
    clippy::type_complexity,
    reason = "the columns of answers are spelled out, because the install script is made from what stands there; \
              tables of columns with the functions that read them say more than names for their types would"
)]

mod answers;
mod arguments;
mod attempts;
mod capacity;
mod catalog;
mod claim;
mod columns;
mod consistency;
mod counters;
mod duties;
mod enums;
mod explain;
mod fields;
mod in_place;
mod inbox_rates;
mod journal;
mod marks;
mod operator;
mod rows;
mod spi;
mod store;
mod unit_checks;
mod work;

//! Rules of pg_outbound that need neither Postgres nor I/O.
//!
//! Everything here is a pure function of its arguments: nothing reads a clock, a file or an
//! environment variable. The extension and the worker both call these functions, so that a rule
//! is written once and tested without a server.
//!
//! | module | holds |
//! |---|---|
//! | [`reason`] | the stable codes of everything that can be wrong with a row, a file or a run |
//! | [`account`] | the settings of the account that decide how text is read |
//! | [`fields`] | one parsed row of a file, borrowed |
//! | [`mod@unit`] | communication units: phones, e-mail addresses and the rest, in canonical form |
//! | [`value`] | typed user columns |
//! | [`shape`] | the columns of a contact list |
//! | [`header`] | the header row of a file against a shape |
//! | [`row`] | one row of a file against a shape: the hot path of an import |
//! | [`identifier`] | table and column identifiers from people's names for things |
//! | [`job`] | the rules of a job as one JSON document |
//! | [`file_name`] | which remote files a job takes, and what may be done with their names |
//! | [`address`] | addresses and host-key fingerprints of SFTP servers |
//! | [`schedule`] | when something is due: the five fields of cron, in a time zone |
//! | [`condition`] | the rule language in which contacts, records and conversations are chosen |
//! | [`order`] | the order in which a campaign takes contacts |
//! | [`calendar`] | when a campaign may act |
//! | [`attempt_control`] | how often and how soon a campaign may try again |
//! | [`campaign`] | the settings of a campaign |
//! | [`document`] | settings that people write as JSON, and what is wrong with them |
//! | [`status`] | record, type and contact codes |
//! | [`machine`] | what each event makes of a contact: claims, attempts, callbacks, resets; who may be claimed |

mod text_enum;

pub use text_enum::UnknownName;

pub mod account;
pub mod address;
pub mod attempt_control;
pub mod calendar;
pub mod campaign;
pub mod condition;
pub mod document;
pub mod fields;
pub mod file_name;
pub mod header;
pub mod identifier;
pub mod job;
pub mod machine;
pub mod order;
pub mod reason;
pub mod row;
pub mod schedule;
pub mod shape;
pub mod status;
pub mod unit;
pub mod value;

//! Parts of the `outbound` worker, the program that moves bytes between SFTP servers and the contact
//! lists of pg_outbound. It decides nothing that the database can decide: which files to take, which
//! list they go to, what a duplicate is.
//!
//! | module | holds |
//! |---|---|
//! | [`cli`] | the command line |
//! | [`settings`] | where database, secrets and spool are |
//! | [`run`] | a worker and its runs, step by step |
//! | [`database`] | connections, and the calls the extension offers |
//! | [`dial`] | simulated dialers |
//! | [`sftp`] | the SFTP client |
//! | [`openpgp`] | decryption and verification, as a stream |
//! | [`decode`] | bytes to records |
//! | [`load`] | records to rows in the load tables |
//! | [`secrets`], [`keys`] | the secret folder and the worker's own keys |
//! | [`spool`] | the private folder for files under way |
//! | [`report`] | what a run did, for people and programs |
//! | [`error`] | the one error type |
//! | [`fault`] | points at which a test can hold the worker |

pub mod cli;
pub mod database;
pub mod decode;
pub mod dial;
pub mod error;
pub mod fault;
pub mod keys;
pub mod load;
pub mod openpgp;
pub mod report;
pub mod run;
pub mod secrets;
pub mod settings;
pub mod sftp;
pub mod spool;
pub mod stop;

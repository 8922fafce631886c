//! The transport parts against their real counterparts: OpenSSH and GnuPG.
//!
//! One binary, so that the account's keys are made once and the server helper is built once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/account.rs"]
mod account;
#[path = "../support/gnupg.rs"]
mod gnupg;
#[path = "../support/proxy.rs"]
mod proxy;
#[path = "../support/sshd.rs"]
mod sshd;

mod keys;
mod openpgp;
mod openpgp_refusals;
mod sftp;
mod sftp_auth;
mod sftp_host_key;

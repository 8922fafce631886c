//! The connections that fill the two tables of a load.
//!
//! A real run fills them side by side, on a connection and in a transaction each; both are
//! committed when both are complete, and the load stays invisible until it is published. A dry
//! run has to happen inside the one transaction that its caller rolls back, so both tables are
//! filled on the caller's connection, one after the other.

use tokio_postgres::Client;

use crate::database::protocol::{LoadPart, Protocol};
use crate::database::{self, Databases, Session};
use crate::error::Failure;

/// Where an import goes.
#[derive(Clone, Copy)]
pub enum Target<'a> {
    /// Two new connections with a transaction each.
    Pair(&'a Databases),
    /// The caller's connection, inside the caller's transaction.
    Single(&'a Client),
}

/// The connections of one load.
pub(super) enum Sink<'a> {
    Pair {
        contact: Box<Session>,
        detail: Box<Session>,
    },
    Single(&'a Client),
}

/// The COPY statements of both tables.
pub(super) struct Statements {
    pub(super) contact: String,
    pub(super) detail: String,
}

impl<'a> Sink<'a> {
    /// Connects, and begins the transactions.
    pub(super) async fn open(target: Target<'a>) -> Result<Self, Failure> {
        match target {
            Target::Single(client) => Ok(Self::Single(client)),
            Target::Pair(databases) => {
                let (contact, detail) = tokio::try_join!(databases.connect(), databases.connect())?;
                for session in [&contact, &detail] {
                    execute(session.client(), "BEGIN").await?;
                }
                Ok(Self::Pair {
                    contact: Box::new(contact),
                    detail: Box::new(detail),
                })
            }
        }
    }

    pub(super) fn contact(&self) -> &Client {
        match self {
            Self::Pair { contact, .. } => contact.client(),
            Self::Single(client) => client,
        }
    }

    pub(super) fn detail(&self) -> &Client {
        match self {
            Self::Pair { detail, .. } => detail.client(),
            Self::Single(client) => client,
        }
    }

    /// True when both tables can be filled at the same time.
    pub(super) fn is_pair(&self) -> bool {
        matches!(self, Self::Pair { .. })
    }

    /// Makes both tables.
    pub(super) async fn create_tables(&self, load_id: i64) -> Result<Statements, Failure> {
        let (contact, detail) = (Protocol::new(self.contact()), Protocol::new(self.detail()));
        Ok(Statements {
            contact: contact
                .create_load_table(load_id, LoadPart::Contact)
                .await?,
            detail: detail.create_load_table(load_id, LoadPart::Detail).await?,
        })
    }

    /// Adds keys and indexes, of both tables at once where there are two connections.
    pub(super) async fn index(&self, load_id: i64) -> Result<(), Failure> {
        let (contact, detail) = (Protocol::new(self.contact()), Protocol::new(self.detail()));
        tokio::try_join!(
            contact.finish_load_table(load_id, LoadPart::Contact),
            detail.finish_load_table(load_id, LoadPart::Detail),
        )?;
        Ok(())
    }

    /// Commits what this sink began; a caller's transaction is left to the caller.
    pub(super) async fn commit(self) -> Result<(), Failure> {
        if let Self::Pair { contact, detail } = self {
            for session in [contact, detail] {
                execute(session.client(), "COMMIT").await?;
                session.close().await;
            }
        }
        Ok(())
    }

    /// Gives up what this sink began, and waits until the database has noticed, so that nothing
    /// holds locks on the tables any more.
    pub(super) async fn abort(self) {
        if let Self::Pair { contact, detail } = self {
            tokio::join!(contact.abort(), detail.abort());
        }
    }
}

async fn execute(client: &Client, statement: &str) -> Result<(), Failure> {
    client
        .batch_execute(statement)
        .await
        .map_err(|error| database::failure("cannot load rows", &error))
}

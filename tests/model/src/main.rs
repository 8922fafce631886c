//! The model test of pg_outbound (contact-lists §13): random histories against a database and
//! against a small model of the rules, compared after every step.
//!
//! `outbound-model --database CONNINFO [--steps N] [--seed S] [--replay FILE]`. On disagreement the
//! shortest history that shows it is printed; `--replay`, or `OUTBOUND_MODEL_REPLAY`, runs it again.

mod driver;
mod history;
mod invariants;
mod model;
mod random;
mod snapshot;

use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail};
use tokio_postgres::{Client, NoTls};

use driver::{Disagreement, Run};
use history::History;
use history::generate::Generator;
use history::shrink::shrink;
use random::Random;

/// Replays that shortening a history may take.
const SHRINK_TRIES: usize = 250;

/// What was asked for.
struct Options {
    database: String,
    steps: usize,
    seed: u64,
    replay: Option<String>,
}

impl Options {
    fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self {
            database: String::new(),
            steps: 3000,
            seed: 1,
            replay: std::env::var("OUTBOUND_MODEL_REPLAY").ok(),
        };
        while let Some(argument) = arguments.next() {
            let mut value = || {
                arguments
                    .next()
                    .ok_or_else(|| anyhow!("{argument} needs a value"))
            };
            match argument.as_str() {
                "--database" => options.database = value()?,
                "--steps" => options.steps = value()?.parse().context("--steps needs a number")?,
                "--seed" => options.seed = value()?.parse().context("--seed needs a number")?,
                "--replay" => options.replay = Some(value()?),
                _ => bail!("unknown argument {argument}"),
            }
        }
        if options.database.is_empty() {
            bail!("--database is missing: a connection string of a database with the extension");
        }
        Ok(options)
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("outbound-model: {error:#}");
            ExitCode::from(2)
        }
    }
}

async fn run() -> Result<ExitCode> {
    let options = Options::read(std::env::args().skip(1))?;
    let (client, connection) = tokio_postgres::connect(&options.database, NoTls).await?;
    let connection = tokio::spawn(connection);
    let mut runs = Runs {
        client: &client,
        used: prepare(&client).await?,
    };
    let code = match &options.replay {
        Some(file) => {
            let text =
                std::fs::read_to_string(file).with_context(|| format!("cannot read {file}"))?;
            let history: History = text.parse()?;
            match runs.replay(&history).await? {
                (steps, None) => {
                    println!("{steps} steps, 1 history, {file}: agree");
                    ExitCode::SUCCESS
                }
                (_, Some(found)) => report(&history, &found),
            }
        }
        None => runs.random(&options).await?,
    };
    drop(client);
    connection.await??;
    Ok(code)
}

/// Makes what all runs share, and returns how many runs the database has seen.
async fn prepare(client: &Client) -> Result<u64> {
    client
        .batch_execute("SET client_min_messages = warning; SET TIME ZONE 'UTC'")
        .await?;
    client
        .execute(
            "SELECT outbound.set_account(name => 'Model', default_country => 'UA')",
            &[],
        )
        .await?;
    for kind in model::settings::Kind::ALL {
        let make = "SELECT outbound.create_inbox($1, $2::text::outbound.conversation_type)
                    WHERE NOT EXISTS (SELECT 1 FROM outbound.inbox AS i WHERE i.name = $1)";
        client.execute(make, &[&kind.inbox(), &kind.name()]).await?;
        let allow = "SELECT outbound.set_inbox($1, may_write_first => true)";
        client.execute(allow, &[&kind.inbox()]).await?;
    }
    for (code, contact, number) in model::settings::WRAP_UP_CODES {
        let set = "SELECT outbound.set_wrap_up_code($1, $2, $3)";
        client.execute(set, &[&code, &contact, &number]).await?;
    }
    let used = "SELECT coalesce(max(substring(name from '^run ([0-9]+) ')::bigint), 0) FROM (
                    SELECT name FROM outbound.list UNION ALL SELECT name FROM outbound.campaign
                    UNION ALL SELECT name FROM outbound.calendar UNION ALL SELECT name FROM outbound.attempt_control) AS n";
    let used: i64 = client.query_one(used, &[]).await?.try_get(0)?;
    Ok(used.unsigned_abs())
}

struct Runs<'a> {
    client: &'a Client,
    used: u64,
}

impl Runs<'_> {
    async fn replay(&mut self, history: &History) -> Result<(usize, Option<Disagreement>)> {
        self.used += 1;
        let mut run = Run::new(self.client, self.used, history);
        let found = run.replay(history).await?;
        run.clean().await?;
        Ok((run.steps, found))
    }

    async fn random(&mut self, options: &Options) -> Result<ExitCode> {
        let mut seeds = Random::new(options.seed);
        let (mut steps, mut histories) = (0, 0);
        while steps < options.steps {
            let seed = seeds.next();
            let mut history = History {
                base: Generator::base(),
                steps: Vec::new(),
            };
            self.used += 1;
            let mut run = Run::new(self.client, self.used, &history);
            let found = run.generate(Generator::new(seed), &mut history).await?;
            run.clean().await?;
            steps += run.steps;
            histories += 1;
            if let Some(found) = found {
                eprintln!(
                    "history {histories} of seed {}: {} in step {}",
                    options.seed,
                    found.label,
                    history.steps.len()
                );
                let shortest = self.shortest(history, &found.label).await;
                let (_, again) = self.replay(&shortest).await?;
                return Ok(report(&shortest, &again.unwrap_or(found)));
            }
        }
        println!(
            "{steps} steps, {histories} histories, seed {}: agree",
            options.seed
        );
        Ok(ExitCode::SUCCESS)
    }

    async fn shortest(&mut self, history: History, label: &str) -> History {
        shrink(history, SHRINK_TRIES, async |fewer: &History| {
            match self.replay(fewer).await {
                Ok((_, Some(found))) => found.label == label,
                Ok((_, None)) => false,
                Err(error) => {
                    eprintln!("outbound-model: while shortening: {error:#}");
                    false
                }
            }
        })
        .await
    }
}

/// Prints a disagreement and the history that shows it.
fn report(history: &History, found: &Disagreement) -> ExitCode {
    println!("# {}: {}", found.label, found.found.replace('\n', "\n# "));
    println!("# in step: {}", found.step);
    print!("{history}");
    ExitCode::FAILURE
}

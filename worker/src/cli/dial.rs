//! `outbound dial --simulate`: a dialer that calls nobody. It works a campaign by the calls that every dialer
//! uses, and draws the results from probabilities: for demonstrations, for load, and for tests.

use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use clap::CommandFactory;
use clap::error::ErrorKind;
use outbound_core::machine::Category;

use super::{Cli, print};
use crate::dial::clock::Clock;
use crate::dial::odds::{Odds, RESULTS};
use crate::dial::report::{DialReport, Ended};
use crate::dial::{Plan, dial_all, random};
use crate::error::Failure;
use crate::report::Outcome;
use crate::settings::Settings;
use crate::stop::Stop;

/// Seconds by which a virtual clock moves when nothing says otherwise: the least time between two attempts
/// of a contact when nothing says otherwise.
const TICK: u64 = 300;

/// Arguments of `outbound dial`.
#[derive(Debug, clap::Args)]
pub struct DialArgs {
    /// The campaign to work.
    #[arg(long)]
    pub campaign: String,
    /// Draw the results instead of calling anybody; there is no other way yet.
    #[arg(long)]
    pub simulate: bool,
    /// Dialers at work at once, each with a connection of its own.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub dialers: u16,
    /// Attempts claimed at once.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(i32).range(1..=10_000))]
    pub batch: i32,
    /// Name the dialers go by, followed by a number each; default: host and process.
    #[arg(long)]
    pub name: Option<String>,
    /// Number that decides what is drawn: with one dialer, the same number makes the same history of the same list. Default: a new one.
    #[arg(long)]
    pub seed: Option<u64>,
    /// How often each result is drawn.
    #[command(flatten)]
    pub odds: OddsArgs,
    /// Say start before each result, as a real dialer does.
    #[arg(long)]
    pub start: bool,
    /// Successes need no end: their contacts are closed at once.
    #[arg(long = "final", conflicts_with_all = ["finish", "callback", "wrap_up"])]
    pub is_final: bool,
    /// Share of the successes without a callback that are finished at once; the others wait for the campaign manager.
    #[arg(long, value_name = "SHARE", default_value_t = 1.0, value_parser = share)]
    pub finish: f64,
    /// Wrap-up code to finish with, evenly drawn when given several times; default: none.
    #[arg(long, value_name = "CODE")]
    pub wrap_up: Vec<String>,
    /// Share of the successes that end with a callback planned by the agent.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    pub callback: f64,
    /// Minutes after which such a callback is due.
    #[arg(long, value_name = "MINUTES", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=525_600))]
    pub callback_after: u64,
    /// End after so many attempts.
    #[arg(long, value_name = "ATTEMPTS", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: Option<u64>,
    /// End when a claim finds nothing; with --clock, when nothing came up for eight days of its time.
    #[arg(long)]
    pub until_empty: bool,
    /// End after so many seconds.
    #[arg(long = "for", value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub seconds: Option<u64>,
    /// Work by a clock that starts at this moment and moves on when nothing is left to do at it, so that days pass in seconds. Periodic duties go by the real time: begin now or later, not in the past.
    #[arg(long, value_name = "TIMESTAMP", value_parser = moment)]
    pub clock: Option<DateTime<Utc>>,
    /// Seconds by which that clock moves.
    #[arg(long, value_name = "SECONDS", requires = "clock", default_value_t = TICK, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub tick: u64,
}

/// Probabilities of the results. Without any, a usual mix; with some, those that are not given are 0.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct OddsArgs {
    /// Probability that the contact is reached. Give none of these, or some that make 1: the others are 0 then.
    #[arg(long, value_name = "P", value_parser = share)]
    pub success: Option<f64>,
    /// Probability of a busy line.
    #[arg(long, value_name = "P", value_parser = share)]
    pub busy: Option<f64>,
    /// Probability of no answer.
    #[arg(long, value_name = "P", value_parser = share)]
    pub noanswer: Option<f64>,
    /// Probability of an answering machine.
    #[arg(long, value_name = "P", value_parser = share)]
    pub machine: Option<f64>,
    /// Probability of a call that is dropped before an agent speaks.
    #[arg(long, value_name = "P", value_parser = share)]
    pub abandoned: Option<f64>,
    /// Probability of a technical failure.
    #[arg(long, value_name = "P", value_parser = share)]
    pub failed: Option<f64>,
    /// Probability of reaching somebody else.
    #[arg(long, value_name = "P", value_parser = share)]
    pub wrong_party: Option<f64>,
    /// Probability of a number that does not exist.
    #[arg(long, value_name = "P", value_parser = share)]
    pub invalid: Option<f64>,
}

impl OddsArgs {
    /// In the order of [`RESULTS`].
    fn given(&self) -> [Option<f64>; RESULTS.len()] {
        RESULTS.map(|category| match category {
            Category::Success => self.success,
            Category::Busy => self.busy,
            Category::NoAnswer => self.noanswer,
            Category::Machine => self.machine,
            Category::Abandoned => self.abandoned,
            Category::Failed => self.failed,
            Category::WrongParty => self.wrong_party,
            Category::Invalid => self.invalid,
            _ => None,
        })
    }
}

/// Works a campaign until told to stop, or until what the arguments say has come.
///
/// # Errors
/// What the database refuses, and a connection that is lost; what was done until then is printed all the
/// same.
pub async fn dial(settings: &Settings, args: DialArgs) -> Result<Outcome, Failure> {
    let plan = plan(args).unwrap_or_else(|(kind, said)| Cli::command().error(kind, said).exit());
    let stop = Stop::listen()?;
    let (report, failure) = dial_all(settings, plan, &stop).await?;
    print(&if settings.json {
        report.to_json()
    } else {
        report.to_string()
    });
    failure.map_or_else(|| Ok(outcome(&report)), Err)
}

/// A signal is the good end of work that has no other.
fn outcome(report: &DialReport) -> Outcome {
    if report.ended == Ended::Signal && report.bounded {
        Outcome::Temporary
    } else {
        Outcome::Done
    }
}

/// What the arguments ask for.
fn plan(args: DialArgs) -> Result<Plan, (ErrorKind, String)> {
    if !args.simulate {
        return Err((
            ErrorKind::MissingRequiredArgument,
            "the worker calls nobody: a real dialer, in any language, uses outbound.claim, outbound.start, \
             outbound.settle and outbound.finish in SQL; give --simulate for one that draws its results"
                .to_owned(),
        ));
    }
    let odds = Odds::of(&args.odds.given()).map_err(|said| (ErrorKind::ValueValidation, said))?;
    Ok(Plan {
        campaign: args.campaign,
        dialers: args.dialers,
        batch: args.batch,
        name: args.name,
        seed: args.seed.unwrap_or_else(random::any_seed),
        odds,
        starts: args.start,
        is_final: args.is_final,
        finish: args.finish,
        wrap_up: args.wrap_up,
        callback: args.callback,
        callback_after: Duration::from_secs(args.callback_after * 60),
        limit: args.limit,
        until_empty: args.until_empty,
        seconds: args.seconds.map(Duration::from_secs),
        clock: match args.clock {
            Some(moment) => {
                Clock::starting_at(SystemTime::from(moment), Duration::from_secs(args.tick))
            }
            None => Clock::real(),
        },
    })
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("not a number from 0 to 1".to_owned()),
    }
}

fn moment(text: &str) -> Result<DateTime<Utc>, String> {
    text.parse().map_err(|_| {
        "write a moment with its time zone, such as 2027-03-01T09:00:00+02:00".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::Command;

    fn parsed(flags: &[&str]) -> Result<DialArgs, clap::Error> {
        let line = ["outbound", "dial", "--campaign", "spring"];
        match Cli::try_parse_from(line.iter().chain(flags))?.command {
            Command::Dial(args) => Ok(*args),
            other => panic!("{other:?}"),
        }
    }

    fn planned(flags: &[&str]) -> Result<Plan, (ErrorKind, String)> {
        plan(parsed(&[&["--simulate"], flags].concat()).unwrap())
    }

    #[test]
    fn without_simulate_it_leads_to_the_calls_of_real_dialers() {
        let (kind, said) = plan(parsed(&[]).unwrap()).err().unwrap();
        assert_eq!(kind, ErrorKind::MissingRequiredArgument);
        assert!(said.contains("outbound.claim"), "{said}");
        assert!(said.contains("--simulate"), "{said}");
    }

    #[test]
    fn nothing_but_the_campaign_has_to_be_said() {
        let plan = planned(&[]).unwrap();
        assert_eq!((plan.dialers, plan.batch), (1, 100));
        assert!((plan.finish - 1.0).abs() < f64::EPSILON);
        assert!(plan.callback.abs() < f64::EPSILON);
        assert!(!plan.is_bounded());
        assert_ne!(plan.seed, planned(&[]).unwrap().seed);
        assert_eq!(planned(&["--seed", "7"]).unwrap().seed, 7);
    }

    #[test]
    fn each_probability_has_a_flag() {
        for (flag, category) in [
            ("--success", Category::Success),
            ("--busy", Category::Busy),
            ("--noanswer", Category::NoAnswer),
            ("--machine", Category::Machine),
            ("--abandoned", Category::Abandoned),
            ("--failed", Category::Failed),
            ("--wrong-party", Category::WrongParty),
            ("--invalid", Category::Invalid),
        ] {
            let plan = planned(&[flag, "1"]).unwrap();
            assert_eq!(plan.odds.drawn(0.5), category, "{flag}");
        }
    }

    #[test]
    fn probabilities_that_do_not_make_1_are_refused() {
        let (kind, said) = planned(&["--success", "0.4", "--busy", "0.5"])
            .err()
            .unwrap();
        assert_eq!(kind, ErrorKind::ValueValidation);
        assert!(said.contains("0.9"), "{said}");
        assert!(parsed(&["--success", "1.5"]).is_err());
        assert!(parsed(&["--success", "-0.5"]).is_err());
        assert!(parsed(&["--success", "NaN"]).is_err());
    }

    #[test]
    fn any_end_that_is_asked_for_bounds_the_work() {
        for end in [&["--limit", "5"][..], &["--for", "5"], &["--until-empty"]] {
            assert!(planned(end).unwrap().is_bounded(), "{end:?}");
        }
    }

    #[test]
    fn flags_that_contradict_each_other_are_refused() {
        assert!(parsed(&["--final", "--finish", "0.5"]).is_err());
        assert!(parsed(&["--final", "--callback", "0.5"]).is_err());
        assert!(parsed(&["--tick", "60"]).is_err());
        assert!(parsed(&["--clock", "tomorrow"]).is_err());
        assert!(parsed(&["--clock", "2027-03-01 09:00:00Z", "--tick", "60"]).is_ok());
        assert!(parsed(&["--dialers", "0"]).is_err());
        assert!(parsed(&["--batch", "10001"]).is_err());
    }
}

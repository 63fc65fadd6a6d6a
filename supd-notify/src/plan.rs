//! What is to be done, from the command line or from a configuration: which targets there are, and what each gets.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::bail;
use supd_core::cli::Usage;
use supd_core::spool::{self, ConsumerName};

use crate::args::{Args, ChannelArgs, Command};
use crate::channel::Channel;
use crate::dead_letter::DeadLetter;
use crate::policy::Policy;
use crate::preview::Preview;
use crate::queue::Queue;
use crate::router::Router;
use crate::rules::Rules;
use crate::tally::Tally;
use crate::target::{Place, Target};
use crate::{config, cursor};

/// What is to be done.
pub(crate) struct Plan {
    pub(crate) targets: Vec<Outline>,
    pub(crate) rules: Rules,
    pub(crate) dead_letter: Option<PathBuf>,
}

/// A target to be.
pub(crate) struct Outline {
    pub(crate) name: String,
    pub(crate) channel: Box<dyn Channel>,
    pub(crate) policy: Policy,
    pub(crate) consumer: ConsumerName,
}

impl Plan {
    /// What the command line asks for.
    ///
    /// # Errors
    /// As [`Plan::of`].
    pub(crate) fn read(args: &Args) -> anyhow::Result<Self> {
        match &args.command {
            Some(Command::Channel(channel)) => Self::of(Some(channel), args),
            _ => Self::of(None, args),
        }
    }

    /// To deliver to this channel, or to the targets of the configuration.
    ///
    /// # Errors
    /// [`Usage`] when it asks for nothing, for too much, or for what a wrong configuration says; else what keeps the
    /// channel from working.
    pub(crate) fn of(channel: Option<&ChannelArgs>, args: &Args) -> anyhow::Result<Self> {
        match (&args.config, channel) {
            (None, Some(channel)) => Self::of_channel(channel, args),
            (Some(path), None) => {
                let (plan, warnings) = config::plan(path, args).map_err(|problems| problems.in_one_line())?;
                warnings.iter().for_each(|warning| log::warn!("{warning}"));
                Ok(plan)
            }
            (None, None) => bail!(Usage(
                "say where to deliver to: a channel, as in 'supd-notify slack', or --config FILE; --help has more"
                    .into()
            )),
            (Some(_), Some(_)) => bail!(Usage(
                "--config FILE says where to deliver to, so a channel beside it has no place: make it one of the \
                 configuration's targets"
                    .into()
            )),
        }
    }

    fn of_channel(channel: &ChannelArgs, args: &Args) -> anyhow::Result<Self> {
        if let Some(oddity) = channel.oddity().filter(|_| !args.dry_run) {
            log::warn!("{oddity}");
        }
        let channel = channel.build(args.dry_run, &args.wording)?;
        let target = Outline {
            name: channel.name().to_owned(),
            policy: args.policy.policy(channel.audience()),
            channel,
            consumer: args.consumer.clone(),
        };
        Ok(Self { targets: vec![target], rules: Rules::to_all(1), dead_letter: args.dead_letter.clone() })
    }

    /// The targets, ready to deliver, and the ways to them.
    ///
    /// # Errors
    /// When the dead letter file or the spool cannot be used.
    pub(crate) fn carry_out(self, args: &Args) -> anyhow::Result<(Vec<Target>, Router)> {
        let path = self.dead_letter.filter(|_| !args.dry_run);
        let dead_letter = path.as_deref().map(DeadLetter::open).transpose()?.map(Arc::new);
        let spool = args.spool();
        if let Some(spool) = &spool {
            // supd-listen does so too; who is first is chance.
            spool::create(spool)?;
            if self.targets.len() > 1 {
                let names: Vec<_> = self.targets.iter().map(|target| target.consumer.clone()).collect();
                cursor::introduce(spool, &names, args.from_start)?;
            }
        }
        let target = |outline: Outline| {
            let consumer = outline.consumer.clone();
            let place = spool.clone().map(|spool| Place { spool, consumer, from_start: args.from_start });
            let state = state(args, &outline.name, place.as_ref());
            Target { place, state, dead_letter: dead_letter.clone(), ..outline.target(args) }
        };
        let targets: Vec<Target> = self.targets.into_iter().map(target).collect();
        let router = Router::new(&targets, self.rules);
        Ok((targets, router))
    }
}

impl Outline {
    /// The target, with no place in a spool and nothing to remember.
    pub(crate) fn target(self, args: &Args) -> Target {
        let Self { name, channel, policy, .. } = self;
        let channel = if args.dry_run {
            let target = args.config.is_some().then(|| name.clone());
            Box::new(Preview { channel, target })
        } else {
            channel
        };
        Target {
            name,
            channel,
            policy,
            queue: Arc::new(Queue::new(args.drain_timeout)),
            dead_letter: None,
            place: None,
            state: None,
            tally: Arc::new(Tally::default()),
        }
    }
}

/// Where a target remembers what a successor has to know: the file that was asked for, with several targets one for each,
/// or its own in the spool.
fn state(args: &Args, target: &str, place: Option<&Place>) -> Option<PathBuf> {
    if args.dry_run {
        return None;
    }
    if let Some(path) = &args.state {
        let mut path = path.clone().into_os_string();
        if args.config.is_some() {
            path.push(format!(".{target}"));
        }
        return Some(path.into());
    }
    place.map(|place| place.consumer.state(&place.spool))
}
